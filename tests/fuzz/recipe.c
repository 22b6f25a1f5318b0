/* A robot's description: actor/tasks/recipe.h. */

#include <string.h>

#include "actor/tasks/recipe.h"
#include "tests/fuzz/fuzz.h"

static void check_quantity(const struct recipe_quantity *q) {
    struct recipe_quantity again;
    char why[256] = "";
    fuzz_check(memchr(q->text, '\0', sizeof q->text) != NULL, "text runs on");
    fuzz_check(memchr(q->name, '\0', sizeof q->name) != NULL, "name runs on");
    fuzz_check(recipe_quantity_parse(&again, q->text, strlen(q->text), why,
                                     sizeof why) == 0,
               "a quantity's text is none");
    fuzz_check(again.kind == q->kind && again.index == q->index &&
                   again.squared == q->squared &&
                   strcmp(again.name, q->name) == 0 &&
                   strcmp(again.other, q->other) == 0,
               "a quantity's text is another one");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
    static struct recipe recipe;
    char why[512] = "", path[RECIPE_PATH_LEN];
    struct recipe_quantity one;
    int rc =
        recipe_quantity_parse(&one, (const char *)data, len, why, sizeof why);
    fuzz_check(rc == 0 || why[0] != '\0', "refused without a word");

    why[0] = '\0';
    rc = recipe_read(&recipe, fuzz_file(data, len), why, sizeof why);
    fuzz_check(rc == 0 || why[0] != '\0', "refused without a word");
    if (rc != 0) return 0;
    fuzz_check(recipe.n_observed >= 1 && recipe.n_terms >= 1 &&
                   recipe.model[0] != '\0',
               "without what it needs");
    for (size_t i = 0; i < recipe.n_observed; i++)
        check_quantity(&recipe.observed[i]);
    for (size_t i = 0; i < recipe.n_terms; i++)
        check_quantity(&recipe.terms[i].of);
    for (size_t i = 0; i < recipe.n_ends; i++)
        check_quantity(&recipe.ends[i].of);
    recipe_model(&recipe, "folder/my-robot.ini", path, sizeof path);
    return 0;
}

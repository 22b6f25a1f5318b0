#ifndef COMMON_CONFIG_FILE_H
#define COMMON_CONFIG_FILE_H

#include <stddef.h>

/* What config.c, config_file.c and config_load.c share, and the INI reader for
 * what else a file may describe. */
struct config;

/* The section of a file that is no option but describes a robot. */
#define CONFIG_ROBOT_SECTION "robot"

/* Every error: -EINVAL with one line in why (n bytes). */

/* The refusal of an unknown name, with the nearest known one. */
int config_unknown(const char *name, size_t len, char *why, size_t n);

/* config_set() for an option that may travel. */
int config_set_shared(struct config *config, const char *name,
                      const char *value, char *why, size_t n);

/* One pair of a file: 0, or -EINVAL with one line in why (n bytes). */
typedef int config_pair(void *user, const char *section, const char *name,
                        const char *value, char *why, size_t n);

/*
 * Every pair of the INI file path in order, section "" before the first
 * heading. The first error ends it; its why then begins with "path:line: ".
 */
int config_read_pairs(const char *path, config_pair *pair, void *user,
                      char *why, size_t n);

#endif

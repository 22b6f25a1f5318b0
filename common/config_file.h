#ifndef COMMON_CONFIG_FILE_H
#define COMMON_CONFIG_FILE_H

#include <stddef.h>

/* What config.c, config_file.c and config_load.c share. */
struct config;

/* Every error: -EINVAL with one line in why (n bytes). */

/* The refusal of an unknown name, with the nearest known one. */
int config_unknown(const char *name, size_t len, char *why, size_t n);

/* config_set() for an option that may travel. */
int config_set_shared(struct config *config, const char *name,
                      const char *value, char *why, size_t n);

#endif

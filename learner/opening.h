#ifndef LEARNER_OPENING_H
#define LEARNER_OPENING_H

/*
 * From options and a run directory to a state on disk that no earlier learner
 * had: the lock, RUN/config.ini and RUN/state, the newest checkpoint or the
 * runs that a new one begins from.
 */
struct learner;

/* 0, or an exit status after one log line. */
int opening_run(struct learner *learner);

/* Log "what: reason" of -errno and return the exit status it means. */
int opening_refuse(const char *what, int rc);

#endif

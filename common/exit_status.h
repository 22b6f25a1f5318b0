#ifndef COMMON_EXIT_STATUS_H
#define COMMON_EXIT_STATUS_H

/* What every program ends with; deploy/supervise restarts only status 1. */
enum exit_status {
    EXIT_FINISHED = 0,   /* done, or stopped by SIGTERM, Ctrl-C or Stop */
    EXIT_CRASH = 1,      /* restart me */
    EXIT_REFUSED = 2,    /* wrong option, file, key, version; never restart */
    EXIT_NON_FINITE = 3, /* NaN or infinity in the learning; never restart */
};

#endif

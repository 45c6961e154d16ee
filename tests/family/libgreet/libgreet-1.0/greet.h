/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef GREET_H
#define GREET_H

#include <greet-protocol.h>

/* What is said in greeting of that kind; NULL for one that nobody knows. */
const char *greet_words(enum greet_kind kind);

#endif

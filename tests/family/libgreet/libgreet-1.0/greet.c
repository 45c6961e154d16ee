/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stddef.h>

#include "greet.h"

const char *greet_words(enum greet_kind kind)
{
    switch (kind) {
    case GREET_HELLO:
        return "hello";
    }
    return NULL;
}

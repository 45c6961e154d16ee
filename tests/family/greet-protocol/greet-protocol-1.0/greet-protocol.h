/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef GREET_PROTOCOL_H
#define GREET_PROTOCOL_H

/* The kinds of greetings. */
enum greet_kind {
    GREET_HELLO = 1
};

#endif

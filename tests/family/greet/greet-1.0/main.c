/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdio.h>

#include <greet.h>

int main(void)
{
    printf("%s, world\n", greet_words(GREET_HELLO));
    return 0;
}

# SPDX-License-Identifier: GPL-2.0-or-later
"""The series rebased onto another tag: how far it is, the clone, what a person did there, and taking over."""

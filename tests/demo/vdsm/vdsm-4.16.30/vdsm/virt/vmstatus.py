# SPDX-License-Identifier: GPL-2.0-or-later
"""The states of a VM, as the engine reads them."""

UP = 'Up'
DOWN = 'Down'
MIGRATION_SOURCE = 'Migration Source'
MIGRATION_DESTINATION = 'Migration Destination'
POWERING_DOWN = 'Powering down'
REBOOT_IN_PROGRESS = 'RebootInProgress'
RESTORING_STATE = 'Restoring state'
SAVING_STATE = 'Saving State'
WAIT_FOR_LAUNCH = 'WaitForLaunch'

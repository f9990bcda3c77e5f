#!/bin/sh
# Runs a command and sends its output to a contact, each line as a message.
#
#     report.sh ann df -h
#
# The first line names the command and the host. The exit code is that of `m2`.
contact=$1
shift
{
    printf '%s\n' "$(uname -n): $*"
    "$@"
} 2>&1 | m2 send "$contact" --lines

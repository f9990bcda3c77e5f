#!/bin/sh
# Runs restic, and tells a contact how it ended, with the last lines of its output.
#
#   restic.sh CONTACT ARGUMENTS...      such as: restic.sh ann backup /home
#
# restic finds its repository and its password as usual (RESTIC_REPOSITORY, RESTIC_PASSWORD_FILE), and m2 its daemon and
# its token (M2_SOCKET, M2_TOKEN_FILE). Exits with restic's code.
set -u
contact=$1
shift
output=$(restic "$@" 2>&1)
code=$?
if [ "$code" -eq 0 ]; then
    result="restic $1: done"
else
    result="restic $1: FAILED with exit code $code"
fi
printf '%s\n%s\n' "$result" "$(printf '%s\n' "$output" | tail -n 8)" | m2 send "$contact" -
exit "$code"

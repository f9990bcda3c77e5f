#!/bin/sh
# Runs a command if a contact says yes within five minutes.
#
#     confirm.sh ann systemctl restart nginx
#
# The contact answers with a reply to the question, such as `m2 reply --last NAME yes`. The exit code is
# 4 if no reply came, 1 if it was not yes, and that of the command otherwise.
contact=$1
shift
answer=$(m2 ask "$contact" --timeout 5m --ttl 1h "Shall I run: $*") || exit $?
case $answer in
[Yy]es) exec "$@" ;;
*)
    echo "$contact said: $answer" >&2
    exit 1
    ;;
esac

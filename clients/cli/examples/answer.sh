#!/bin/sh
# Answers questions of contacts, for up to eight contacts at once:
#
#     m2 listen --client answers --reconnect --jobs 8 --exec ./answer.sh
#
# The key makes sure that a question is answered once, even if this script runs twice for it. Contacts
# choose the text, so it is compared and never run.
[ "$M2_EVENT" = messageReceived ] || exit 0
case $M2_TEXT in
date) answer=$(date '+%Y-%m-%d %H:%M') ;;
disk) answer=$(df -h / | tail -n 1) ;;
*) answer="I know these words: date, disk." ;;
esac
m2 reply "$M2_MESSAGE_ID" --key "$M2_MESSAGE_ID" "$answer" > /dev/null

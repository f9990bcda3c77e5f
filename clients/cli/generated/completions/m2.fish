# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_m2_global_optspecs
    string join \n socket= token-file= json color= h/help V/version
end

function __fish_m2_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_m2_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_m2_using_subcommand
    set -l cmd (__fish_m2_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c m2 -n "__fish_m2_needs_command" -l socket -d 'The daemon\'s socket [default: $M2_SOCKET, else the first of these on which a daemon answers: $XDG_RUNTIME_DIR/m2d/m2d.sock, /run/user/UID/m2d/m2d.sock, ~/.local/share/m2d/run/m2d.sock and /run/m2d/m2d.sock]' -r -F
complete -c m2 -n "__fish_m2_needs_command" -l token-file -d 'A file with the access token to show [default: $M2_TOKEN_FILE, else the token in $M2_TOKEN, else none]' -r -F
complete -c m2 -n "__fish_m2_needs_command" -l color -d 'Colours: auto (on a terminal, unless NO_COLOR is set), always, never' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Always'
never\t'Never'"
complete -c m2 -n "__fish_m2_needs_command" -l json -d 'Print one JSON object per line; errors too, on stderr'
complete -c m2 -n "__fish_m2_needs_command" -s h -l help -d 'Print help'
complete -c m2 -n "__fish_m2_needs_command" -s V -l version -d 'Print version'
complete -c m2 -n "__fish_m2_needs_command" -f -a "status" -d 'Show the daemon\'s state and health'
complete -c m2 -n "__fish_m2_needs_command" -f -a "unlock" -d 'Open the identity of a locked daemon'
complete -c m2 -n "__fish_m2_needs_command" -f -a "id" -d 'Show your peer id'
complete -c m2 -n "__fish_m2_needs_command" -f -a "invite" -d 'Create, list and revoke invitations'
complete -c m2 -n "__fish_m2_needs_command" -f -a "mailbox" -d 'Manage mailboxes, where messages wait while you are offline'
complete -c m2 -n "__fish_m2_needs_command" -f -a "line" -d 'Manage relays, which hide your address from others'
complete -c m2 -n "__fish_m2_needs_command" -f -a "relay" -d 'Show statistics of the relay service that this daemon provides'
complete -c m2 -n "__fish_m2_needs_command" -f -a "network" -d 'Show what others can see on the network, and how contacts are reached'
complete -c m2 -n "__fish_m2_needs_command" -f -a "contact" -d 'Contacts: add, list, accept, verify, …'
complete -c m2 -n "__fish_m2_needs_command" -f -a "send" -d 'Send a message, or one for each line of stdin'
complete -c m2 -n "__fish_m2_needs_command" -f -a "reply" -d 'Reply to a message that you received'
complete -c m2 -n "__fish_m2_needs_command" -f -a "ask" -d 'Send a question, and print the contact\'s reply'
complete -c m2 -n "__fish_m2_needs_command" -f -a "watch" -d 'Follow a message until its state is final'
complete -c m2 -n "__fish_m2_needs_command" -f -a "listen" -d 'Print events as they occur, or run a command for each'
complete -c m2 -n "__fish_m2_needs_command" -f -a "client" -d 'Manage named front-ends, whose position in the event log the daemon keeps'
complete -c m2 -n "__fish_m2_needs_command" -f -a "token" -d 'Manage access tokens, which limit what a front-end may do'
complete -c m2 -n "__fish_m2_needs_command" -f -a "read" -d 'Mark received messages as read, and notify their author'
complete -c m2 -n "__fish_m2_needs_command" -f -a "edit" -d 'Replace the text of a message that you sent, on both sides'
complete -c m2 -n "__fish_m2_needs_command" -f -a "retract" -d 'Delete a message that you sent, on both sides'
complete -c m2 -n "__fish_m2_needs_command" -f -a "react" -d 'React to a message with an emoji'
complete -c m2 -n "__fish_m2_needs_command" -f -a "typing" -d 'Tell a contact that you type, or that you stopped'
complete -c m2 -n "__fish_m2_needs_command" -f -a "history" -d 'Show a conversation'
complete -c m2 -n "__fish_m2_needs_command" -f -a "search" -d 'Find messages by their words'
complete -c m2 -n "__fish_m2_needs_command" -f -a "backup" -d 'Back up the identity and everything stored, and check backups'
complete -c m2 -n "__fish_m2_needs_command" -f -a "doctor" -d 'Check clock, ports, disk, permissions, key, store, backups, contacts, relays and mailboxes, and say what mends each fault'
complete -c m2 -n "__fish_m2_needs_command" -f -a "bugreport" -d 'Write a file for a bug report: versions, settings, counters and log lines, no names'
complete -c m2 -n "__fish_m2_needs_command" -f -a "completions" -d 'Print completions for a shell'
complete -c m2 -n "__fish_m2_needs_command" -f -a "man" -d 'Print the man page, or write all of them'
complete -c m2 -n "__fish_m2_using_subcommand status" -l socket -d 'The daemon\'s socket [default: $M2_SOCKET, else the first of these on which a daemon answers: $XDG_RUNTIME_DIR/m2d/m2d.sock, /run/user/UID/m2d/m2d.sock, ~/.local/share/m2d/run/m2d.sock and /run/m2d/m2d.sock]' -r -F
complete -c m2 -n "__fish_m2_using_subcommand status" -l token-file -d 'A file with the access token to show [default: $M2_TOKEN_FILE, else the token in $M2_TOKEN, else none]' -r -F
complete -c m2 -n "__fish_m2_using_subcommand status" -l color -d 'Colours: auto (on a terminal, unless NO_COLOR is set), always, never' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Always'
never\t'Never'"
complete -c m2 -n "__fish_m2_using_subcommand status" -s q -l quiet -d 'Print nothing, and exit with 0 only if the daemon is ready: for health checks'
complete -c m2 -n "__fish_m2_using_subcommand status" -l json -d 'Print one JSON object per line; errors too, on stderr'
complete -c m2 -n "__fish_m2_using_subcommand status" -s h -l help -d 'Print help'
complete -c m2 -n "__fish_m2_using_subcommand unlock" -l passphrase-file -d 'Read the passphrase from this file, or from stdin for `-`; otherwise it is asked on the terminal' -r -F
complete -c m2 -n "__fish_m2_using_subcommand unlock" -l socket -d 'The daemon\'s socket [default: $M2_SOCKET, else the first of these on which a daemon answers: $XDG_RUNTIME_DIR/m2d/m2d.sock, /run/user/UID/m2d/m2d.sock, ~/.local/share/m2d/run/m2d.sock and /run/m2d/m2d.sock]' -r -F
complete -c m2 -n "__fish_m2_using_subcommand unlock" -l token-file -d 'A file with the access token to show [default: $M2_TOKEN_FILE, else the token in $M2_TOKEN, else none]' -r -F
complete -c m2 -n "__fish_m2_using_subcommand unlock" -l color -d 'Colours: auto (on a terminal, unless NO_COLOR is set), always, never' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Always'
never\t'Never'"
complete -c m2 -n "__fish_m2_using_subcommand unlock" -l json -d 'Print one JSON object per line; errors too, on stderr'
complete -c m2 -n "__fish_m2_using_subcommand unlock" -s h -l help -d 'Print help'
complete -c m2 -n "__fish_m2_using_subcommand id" -l socket -d 'The daemon\'s socket [default: $M2_SOCKET, else the first of these on which a daemon answers: $XDG_RUNTIME_DIR/m2d/m2d.sock, /run/user/UID/m2d/m2d.sock, ~/.local/share/m2d/run/m2d.sock and /run/m2d/m2d.sock]' -r -F
complete -c m2 -n "__fish_m2_using_subcommand id" -l token-file -d 'A file with the access token to show [default: $M2_TOKEN_FILE, else the token in $M2_TOKEN, else none]' -r -F
complete -c m2 -n "__fish_m2_using_subcommand id" -l color -d 'Colours: auto (on a terminal, unless NO_COLOR is set), always, never' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Always'
never\t'Never'"
complete -c m2 -n "__fish_m2_using_subcommand id" -l qr -d 'Show it also as a QR code (not with --json)'
complete -c m2 -n "__fish_m2_using_subcommand id" -l json -d 'Print one JSON object per line; errors too, on stderr'
complete -c m2 -n "__fish_m2_using_subcommand id" -s h -l help -d 'Print help'
complete -c m2 -n "__fish_m2_using_subcommand invite; and not __fish_seen_subcommand_from create list revoke" -l socket -d 'The daemon\'s socket [default: $M2_SOCKET, else the first of these on which a daemon answers: $XDG_RUNTIME_DIR/m2d/m2d.sock, /run/user/UID/m2d/m2d.sock, ~/.local/share/m2d/run/m2d.sock and /run/m2d/m2d.sock]' -r -F
complete -c m2 -n "__fish_m2_using_subcommand invite; and not __fish_seen_subcommand_from create list revoke" -l token-file -d 'A file with the access token to show [default: $M2_TOKEN_FILE, else the token in $M2_TOKEN, else none]' -r -F
complete -c m2 -n "__fish_m2_using_subcommand invite; and not __fish_seen_subcommand_from create list revoke" -l color -d 'Colours: auto (on a terminal, unless NO_COLOR is set), always, never' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Always'
never\t'Never'"
complete -c m2 -n "__fish_m2_using_subcommand invite; and not __fish_seen_subcommand_from create list revoke" -l json -d 'Print one JSON object per line; errors too, on stderr'
complete -c m2 -n "__fish_m2_using_subcommand invite; and not __fish_seen_subcommand_from create list revoke" -s h -l help -d 'Print help'
complete -c m2 -n "__fish_m2_using_subcommand invite; and not __fish_seen_subcommand_from create list revoke" -f -a "create" -d 'Create an invitation and print it'
complete -c m2 -n "__fish_m2_using_subcommand invite; and not __fish_seen_subcommand_from create list revoke" -f -a "list" -d 'List the open invitations'
complete -c m2 -n "__fish_m2_using_subcommand invite; and not __fish_seen_subcommand_from create list revoke" -f -a "revoke" -d 'Revoke an invitation; contacts made with it remain'
complete -c m2 -n "__fish_m2_using_subcommand invite; and __fish_seen_subcommand_from create" -l expires -d 'How long it is valid: 1 minute to 365 days' -r
complete -c m2 -n "__fish_m2_using_subcommand invite; and __fish_seen_subcommand_from create" -l name -d 'The local name of the contact that uses it' -r
complete -c m2 -n "__fish_m2_using_subcommand invite; and __fish_seen_subcommand_from create" -l socket -d 'The daemon\'s socket [default: $M2_SOCKET, else the first of these on which a daemon answers: $XDG_RUNTIME_DIR/m2d/m2d.sock, /run/user/UID/m2d/m2d.sock, ~/.local/share/m2d/run/m2d.sock and /run/m2d/m2d.sock]' -r -F
complete -c m2 -n "__fish_m2_using_subcommand invite; and __fish_seen_subcommand_from create" -l token-file -d 'A file with the access token to show [default: $M2_TOKEN_FILE, else the token in $M2_TOKEN, else none]' -r -F
complete -c m2 -n "__fish_m2_using_subcommand invite; and __fish_seen_subcommand_from create" -l color -d 'Colours: auto (on a terminal, unless NO_COLOR is set), always, never' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Always'
never\t'Never'"
complete -c m2 -n "__fish_m2_using_subcommand invite; and __fish_seen_subcommand_from create" -l reusable -d 'Allow any number of peers to use it until it expires, instead of one'
complete -c m2 -n "__fish_m2_using_subcommand invite; and __fish_seen_subcommand_from create" -l qr -d 'Show it also as a QR code (not with --json)'
complete -c m2 -n "__fish_m2_using_subcommand invite; and __fish_seen_subcommand_from create" -l json -d 'Print one JSON object per line; errors too, on stderr'
complete -c m2 -n "__fish_m2_using_subcommand invite; and __fish_seen_subcommand_from create" -s h -l help -d 'Print help'
complete -c m2 -n "__fish_m2_using_subcommand invite; and __fish_seen_subcommand_from list" -l socket -d 'The daemon\'s socket [default: $M2_SOCKET, else the first of these on which a daemon answers: $XDG_RUNTIME_DIR/m2d/m2d.sock, /run/user/UID/m2d/m2d.sock, ~/.local/share/m2d/run/m2d.sock and /run/m2d/m2d.sock]' -r -F
complete -c m2 -n "__fish_m2_using_subcommand invite; and __fish_seen_subcommand_from list" -l token-file -d 'A file with the access token to show [default: $M2_TOKEN_FILE, else the token in $M2_TOKEN, else none]' -r -F
complete -c m2 -n "__fish_m2_using_subcommand invite; and __fish_seen_subcommand_from list" -l color -d 'Colours: auto (on a terminal, unless NO_COLOR is set), always, never' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Always'
never\t'Never'"
complete -c m2 -n "__fish_m2_using_subcommand invite; and __fish_seen_subcommand_from list" -l json -d 'Print one JSON object per line; errors too, on stderr'
complete -c m2 -n "__fish_m2_using_subcommand invite; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help'
complete -c m2 -n "__fish_m2_using_subcommand invite; and __fish_seen_subcommand_from revoke" -l socket -d 'The daemon\'s socket [default: $M2_SOCKET, else the first of these on which a daemon answers: $XDG_RUNTIME_DIR/m2d/m2d.sock, /run/user/UID/m2d/m2d.sock, ~/.local/share/m2d/run/m2d.sock and /run/m2d/m2d.sock]' -r -F
complete -c m2 -n "__fish_m2_using_subcommand invite; and __fish_seen_subcommand_from revoke" -l token-file -d 'A file with the access token to show [default: $M2_TOKEN_FILE, else the token in $M2_TOKEN, else none]' -r -F
complete -c m2 -n "__fish_m2_using_subcommand invite; and __fish_seen_subcommand_from revoke" -l color -d 'Colours: auto (on a terminal, unless NO_COLOR is set), always, never' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Always'
never\t'Never'"
complete -c m2 -n "__fish_m2_using_subcommand invite; and __fish_seen_subcommand_from revoke" -l json -d 'Print one JSON object per line; errors too, on stderr'
complete -c m2 -n "__fish_m2_using_subcommand invite; and __fish_seen_subcommand_from revoke" -s h -l help -d 'Print help'
complete -c m2 -n "__fish_m2_using_subcommand mailbox; and not __fish_seen_subcommand_from register list remove rekey collect" -l socket -d 'The daemon\'s socket [default: $M2_SOCKET, else the first of these on which a daemon answers: $XDG_RUNTIME_DIR/m2d/m2d.sock, /run/user/UID/m2d/m2d.sock, ~/.local/share/m2d/run/m2d.sock and /run/m2d/m2d.sock]' -r -F
complete -c m2 -n "__fish_m2_using_subcommand mailbox; and not __fish_seen_subcommand_from register list remove rekey collect" -l token-file -d 'A file with the access token to show [default: $M2_TOKEN_FILE, else the token in $M2_TOKEN, else none]' -r -F
complete -c m2 -n "__fish_m2_using_subcommand mailbox; and not __fish_seen_subcommand_from register list remove rekey collect" -l color -d 'Colours: auto (on a terminal, unless NO_COLOR is set), always, never' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Always'
never\t'Never'"
complete -c m2 -n "__fish_m2_using_subcommand mailbox; and not __fish_seen_subcommand_from register list remove rekey collect" -l json -d 'Print one JSON object per line; errors too, on stderr'
complete -c m2 -n "__fish_m2_using_subcommand mailbox; and not __fish_seen_subcommand_from register list remove rekey collect" -s h -l help -d 'Print help'
complete -c m2 -n "__fish_m2_using_subcommand mailbox; and not __fish_seen_subcommand_from register list remove rekey collect" -f -a "register" -d 'Register a mailbox with the provider that issued an invitation'
complete -c m2 -n "__fish_m2_using_subcommand mailbox; and not __fish_seen_subcommand_from register list remove rekey collect" -f -a "list" -d 'List your boxes'
complete -c m2 -n "__fish_m2_using_subcommand mailbox; and not __fish_seen_subcommand_from register list remove rekey collect" -f -a "remove" -d 'Ask the provider to delete a box. Repeat it to remove the box although the provider is unreachable'
complete -c m2 -n "__fish_m2_using_subcommand mailbox; and not __fish_seen_subcommand_from register list remove rekey collect" -f -a "rekey" -d 'Draw a new key for a box, which ends all permissions to deposit into it. Contacts get new ones when they are connected next'
complete -c m2 -n "__fish_m2_using_subcommand mailbox; and not __fish_seen_subcommand_from register list remove rekey collect" -f -a "collect" -d 'Collect the waiting messages from all providers now'
complete -c m2 -n "__fish_m2_using_subcommand mailbox; and __fish_seen_subcommand_from register" -l socket -d 'The daemon\'s socket [default: $M2_SOCKET, else the first of these on which a daemon answers: $XDG_RUNTIME_DIR/m2d/m2d.sock, /run/user/UID/m2d/m2d.sock, ~/.local/share/m2d/run/m2d.sock and /run/m2d/m2d.sock]' -r -F
complete -c m2 -n "__fish_m2_using_subcommand mailbox; and __fish_seen_subcommand_from register" -l token-file -d 'A file with the access token to show [default: $M2_TOKEN_FILE, else the token in $M2_TOKEN, else none]' -r -F
complete -c m2 -n "__fish_m2_using_subcommand mailbox; and __fish_seen_subcommand_from register" -l color -d 'Colours: auto (on a terminal, unless NO_COLOR is set), always, never' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Always'
never\t'Never'"
complete -c m2 -n "__fish_m2_using_subcommand mailbox; and __fish_seen_subcommand_from register" -l json -d 'Print one JSON object per line; errors too, on stderr'
complete -c m2 -n "__fish_m2_using_subcommand mailbox; and __fish_seen_subcommand_from register" -s h -l help -d 'Print help'
complete -c m2 -n "__fish_m2_using_subcommand mailbox; and __fish_seen_subcommand_from list" -l socket -d 'The daemon\'s socket [default: $M2_SOCKET, else the first of these on which a daemon answers: $XDG_RUNTIME_DIR/m2d/m2d.sock, /run/user/UID/m2d/m2d.sock, ~/.local/share/m2d/run/m2d.sock and /run/m2d/m2d.sock]' -r -F
complete -c m2 -n "__fish_m2_using_subcommand mailbox; and __fish_seen_subcommand_from list" -l token-file -d 'A file with the access token to show [default: $M2_TOKEN_FILE, else the token in $M2_TOKEN, else none]' -r -F
complete -c m2 -n "__fish_m2_using_subcommand mailbox; and __fish_seen_subcommand_from list" -l color -d 'Colours: auto (on a terminal, unless NO_COLOR is set), always, never' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Always'
never\t'Never'"
complete -c m2 -n "__fish_m2_using_subcommand mailbox; and __fish_seen_subcommand_from list" -l json -d 'Print one JSON object per line; errors too, on stderr'
complete -c m2 -n "__fish_m2_using_subcommand mailbox; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help'
complete -c m2 -n "__fish_m2_using_subcommand mailbox; and __fish_seen_subcommand_from remove" -l socket -d 'The daemon\'s socket [default: $M2_SOCKET, else the first of these on which a daemon answers: $XDG_RUNTIME_DIR/m2d/m2d.sock, /run/user/UID/m2d/m2d.sock, ~/.local/share/m2d/run/m2d.sock and /run/m2d/m2d.sock]' -r -F
complete -c m2 -n "__fish_m2_using_subcommand mailbox; and __fish_seen_subcommand_from remove" -l token-file -d 'A file with the access token to show [default: $M2_TOKEN_FILE, else the token in $M2_TOKEN, else none]' -r -F
complete -c m2 -n "__fish_m2_using_subcommand mailbox; and __fish_seen_subcommand_from remove" -l color -d 'Colours: auto (on a terminal, unless NO_COLOR is set), always, never' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Always'
never\t'Never'"
complete -c m2 -n "__fish_m2_using_subcommand mailbox; and __fish_seen_subcommand_from remove" -l json -d 'Print one JSON object per line; errors too, on stderr'
complete -c m2 -n "__fish_m2_using_subcommand mailbox; and __fish_seen_subcommand_from remove" -s h -l help -d 'Print help'
complete -c m2 -n "__fish_m2_using_subcommand mailbox; and __fish_seen_subcommand_from rekey" -l socket -d 'The daemon\'s socket [default: $M2_SOCKET, else the first of these on which a daemon answers: $XDG_RUNTIME_DIR/m2d/m2d.sock, /run/user/UID/m2d/m2d.sock, ~/.local/share/m2d/run/m2d.sock and /run/m2d/m2d.sock]' -r -F
complete -c m2 -n "__fish_m2_using_subcommand mailbox; and __fish_seen_subcommand_from rekey" -l token-file -d 'A file with the access token to show [default: $M2_TOKEN_FILE, else the token in $M2_TOKEN, else none]' -r -F
complete -c m2 -n "__fish_m2_using_subcommand mailbox; and __fish_seen_subcommand_from rekey" -l color -d 'Colours: auto (on a terminal, unless NO_COLOR is set), always, never' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Always'
never\t'Never'"
complete -c m2 -n "__fish_m2_using_subcommand mailbox; and __fish_seen_subcommand_from rekey" -l json -d 'Print one JSON object per line; errors too, on stderr'
complete -c m2 -n "__fish_m2_using_subcommand mailbox; and __fish_seen_subcommand_from rekey" -s h -l help -d 'Print help'
complete -c m2 -n "__fish_m2_using_subcommand mailbox; and __fish_seen_subcommand_from collect" -l socket -d 'The daemon\'s socket [default: $M2_SOCKET, else the first of these on which a daemon answers: $XDG_RUNTIME_DIR/m2d/m2d.sock, /run/user/UID/m2d/m2d.sock, ~/.local/share/m2d/run/m2d.sock and /run/m2d/m2d.sock]' -r -F
complete -c m2 -n "__fish_m2_using_subcommand mailbox; and __fish_seen_subcommand_from collect" -l token-file -d 'A file with the access token to show [default: $M2_TOKEN_FILE, else the token in $M2_TOKEN, else none]' -r -F
complete -c m2 -n "__fish_m2_using_subcommand mailbox; and __fish_seen_subcommand_from collect" -l color -d 'Colours: auto (on a terminal, unless NO_COLOR is set), always, never' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Always'
never\t'Never'"
complete -c m2 -n "__fish_m2_using_subcommand mailbox; and __fish_seen_subcommand_from collect" -l json -d 'Print one JSON object per line; errors too, on stderr'
complete -c m2 -n "__fish_m2_using_subcommand mailbox; and __fish_seen_subcommand_from collect" -s h -l help -d 'Print help'
complete -c m2 -n "__fish_m2_using_subcommand line; and not __fish_seen_subcommand_from add list remove" -l socket -d 'The daemon\'s socket [default: $M2_SOCKET, else the first of these on which a daemon answers: $XDG_RUNTIME_DIR/m2d/m2d.sock, /run/user/UID/m2d/m2d.sock, ~/.local/share/m2d/run/m2d.sock and /run/m2d/m2d.sock]' -r -F
complete -c m2 -n "__fish_m2_using_subcommand line; and not __fish_seen_subcommand_from add list remove" -l token-file -d 'A file with the access token to show [default: $M2_TOKEN_FILE, else the token in $M2_TOKEN, else none]' -r -F
complete -c m2 -n "__fish_m2_using_subcommand line; and not __fish_seen_subcommand_from add list remove" -l color -d 'Colours: auto (on a terminal, unless NO_COLOR is set), always, never' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Always'
never\t'Never'"
complete -c m2 -n "__fish_m2_using_subcommand line; and not __fish_seen_subcommand_from add list remove" -l json -d 'Print one JSON object per line; errors too, on stderr'
complete -c m2 -n "__fish_m2_using_subcommand line; and not __fish_seen_subcommand_from add list remove" -s h -l help -d 'Print help'
complete -c m2 -n "__fish_m2_using_subcommand line; and not __fish_seen_subcommand_from add list remove" -f -a "add" -d 'Use the relay that issued an invitation'
complete -c m2 -n "__fish_m2_using_subcommand line; and not __fish_seen_subcommand_from add list remove" -f -a "list" -d 'List your relays'
complete -c m2 -n "__fish_m2_using_subcommand line; and not __fish_seen_subcommand_from add list remove" -f -a "remove" -d 'Stop using a relay'
complete -c m2 -n "__fish_m2_using_subcommand line; and __fish_seen_subcommand_from add" -l socket -d 'The daemon\'s socket [default: $M2_SOCKET, else the first of these on which a daemon answers: $XDG_RUNTIME_DIR/m2d/m2d.sock, /run/user/UID/m2d/m2d.sock, ~/.local/share/m2d/run/m2d.sock and /run/m2d/m2d.sock]' -r -F
complete -c m2 -n "__fish_m2_using_subcommand line; and __fish_seen_subcommand_from add" -l token-file -d 'A file with the access token to show [default: $M2_TOKEN_FILE, else the token in $M2_TOKEN, else none]' -r -F
complete -c m2 -n "__fish_m2_using_subcommand line; and __fish_seen_subcommand_from add" -l color -d 'Colours: auto (on a terminal, unless NO_COLOR is set), always, never' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Always'
never\t'Never'"
complete -c m2 -n "__fish_m2_using_subcommand line; and __fish_seen_subcommand_from add" -l entry -d 'Use it in front of other relays; contacts are not told about it'
complete -c m2 -n "__fish_m2_using_subcommand line; and __fish_seen_subcommand_from add" -l json -d 'Print one JSON object per line; errors too, on stderr'
complete -c m2 -n "__fish_m2_using_subcommand line; and __fish_seen_subcommand_from add" -s h -l help -d 'Print help'
complete -c m2 -n "__fish_m2_using_subcommand line; and __fish_seen_subcommand_from list" -l socket -d 'The daemon\'s socket [default: $M2_SOCKET, else the first of these on which a daemon answers: $XDG_RUNTIME_DIR/m2d/m2d.sock, /run/user/UID/m2d/m2d.sock, ~/.local/share/m2d/run/m2d.sock and /run/m2d/m2d.sock]' -r -F
complete -c m2 -n "__fish_m2_using_subcommand line; and __fish_seen_subcommand_from list" -l token-file -d 'A file with the access token to show [default: $M2_TOKEN_FILE, else the token in $M2_TOKEN, else none]' -r -F
complete -c m2 -n "__fish_m2_using_subcommand line; and __fish_seen_subcommand_from list" -l color -d 'Colours: auto (on a terminal, unless NO_COLOR is set), always, never' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Always'
never\t'Never'"
complete -c m2 -n "__fish_m2_using_subcommand line; and __fish_seen_subcommand_from list" -l json -d 'Print one JSON object per line; errors too, on stderr'
complete -c m2 -n "__fish_m2_using_subcommand line; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help'
complete -c m2 -n "__fish_m2_using_subcommand line; and __fish_seen_subcommand_from remove" -l socket -d 'The daemon\'s socket [default: $M2_SOCKET, else the first of these on which a daemon answers: $XDG_RUNTIME_DIR/m2d/m2d.sock, /run/user/UID/m2d/m2d.sock, ~/.local/share/m2d/run/m2d.sock and /run/m2d/m2d.sock]' -r -F
complete -c m2 -n "__fish_m2_using_subcommand line; and __fish_seen_subcommand_from remove" -l token-file -d 'A file with the access token to show [default: $M2_TOKEN_FILE, else the token in $M2_TOKEN, else none]' -r -F
complete -c m2 -n "__fish_m2_using_subcommand line; and __fish_seen_subcommand_from remove" -l color -d 'Colours: auto (on a terminal, unless NO_COLOR is set), always, never' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Always'
never\t'Never'"
complete -c m2 -n "__fish_m2_using_subcommand line; and __fish_seen_subcommand_from remove" -l json -d 'Print one JSON object per line; errors too, on stderr'
complete -c m2 -n "__fish_m2_using_subcommand line; and __fish_seen_subcommand_from remove" -s h -l help -d 'Print help'
complete -c m2 -n "__fish_m2_using_subcommand relay; and not __fish_seen_subcommand_from status" -l socket -d 'The daemon\'s socket [default: $M2_SOCKET, else the first of these on which a daemon answers: $XDG_RUNTIME_DIR/m2d/m2d.sock, /run/user/UID/m2d/m2d.sock, ~/.local/share/m2d/run/m2d.sock and /run/m2d/m2d.sock]' -r -F
complete -c m2 -n "__fish_m2_using_subcommand relay; and not __fish_seen_subcommand_from status" -l token-file -d 'A file with the access token to show [default: $M2_TOKEN_FILE, else the token in $M2_TOKEN, else none]' -r -F
complete -c m2 -n "__fish_m2_using_subcommand relay; and not __fish_seen_subcommand_from status" -l color -d 'Colours: auto (on a terminal, unless NO_COLOR is set), always, never' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Always'
never\t'Never'"
complete -c m2 -n "__fish_m2_using_subcommand relay; and not __fish_seen_subcommand_from status" -l json -d 'Print one JSON object per line; errors too, on stderr'
complete -c m2 -n "__fish_m2_using_subcommand relay; and not __fish_seen_subcommand_from status" -s h -l help -d 'Print help'
complete -c m2 -n "__fish_m2_using_subcommand relay; and not __fish_seen_subcommand_from status" -f -a "status" -d 'Show totals of the relay service; they name no peer'
complete -c m2 -n "__fish_m2_using_subcommand relay; and __fish_seen_subcommand_from status" -l socket -d 'The daemon\'s socket [default: $M2_SOCKET, else the first of these on which a daemon answers: $XDG_RUNTIME_DIR/m2d/m2d.sock, /run/user/UID/m2d/m2d.sock, ~/.local/share/m2d/run/m2d.sock and /run/m2d/m2d.sock]' -r -F
complete -c m2 -n "__fish_m2_using_subcommand relay; and __fish_seen_subcommand_from status" -l token-file -d 'A file with the access token to show [default: $M2_TOKEN_FILE, else the token in $M2_TOKEN, else none]' -r -F
complete -c m2 -n "__fish_m2_using_subcommand relay; and __fish_seen_subcommand_from status" -l color -d 'Colours: auto (on a terminal, unless NO_COLOR is set), always, never' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Always'
never\t'Never'"
complete -c m2 -n "__fish_m2_using_subcommand relay; and __fish_seen_subcommand_from status" -l json -d 'Print one JSON object per line; errors too, on stderr'
complete -c m2 -n "__fish_m2_using_subcommand relay; and __fish_seen_subcommand_from status" -s h -l help -d 'Print help'
complete -c m2 -n "__fish_m2_using_subcommand network; and not __fish_seen_subcommand_from doctor status probe" -l socket -d 'The daemon\'s socket [default: $M2_SOCKET, else the first of these on which a daemon answers: $XDG_RUNTIME_DIR/m2d/m2d.sock, /run/user/UID/m2d/m2d.sock, ~/.local/share/m2d/run/m2d.sock and /run/m2d/m2d.sock]' -r -F
complete -c m2 -n "__fish_m2_using_subcommand network; and not __fish_seen_subcommand_from doctor status probe" -l token-file -d 'A file with the access token to show [default: $M2_TOKEN_FILE, else the token in $M2_TOKEN, else none]' -r -F
complete -c m2 -n "__fish_m2_using_subcommand network; and not __fish_seen_subcommand_from doctor status probe" -l color -d 'Colours: auto (on a terminal, unless NO_COLOR is set), always, never' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Always'
never\t'Never'"
complete -c m2 -n "__fish_m2_using_subcommand network; and not __fish_seen_subcommand_from doctor status probe" -l json -d 'Print one JSON object per line; errors too, on stderr'
complete -c m2 -n "__fish_m2_using_subcommand network; and not __fish_seen_subcommand_from doctor status probe" -s h -l help -d 'Print help'
complete -c m2 -n "__fish_m2_using_subcommand network; and not __fish_seen_subcommand_from doctor status probe" -f -a "doctor" -d 'Show what others can learn with the current settings, and whether line-only mode holds'
complete -c m2 -n "__fish_m2_using_subcommand network; and not __fish_seen_subcommand_from doctor status probe" -f -a "status" -d 'Show where this daemon is reachable, how it looks for contacts, and each contact\'s path'
complete -c m2 -n "__fish_m2_using_subcommand network; and not __fish_seen_subcommand_from doctor status probe" -f -a "probe" -d 'Try every way to a contact and show the result of each'
complete -c m2 -n "__fish_m2_using_subcommand network; and __fish_seen_subcommand_from doctor" -l socket -d 'The daemon\'s socket [default: $M2_SOCKET, else the first of these on which a daemon answers: $XDG_RUNTIME_DIR/m2d/m2d.sock, /run/user/UID/m2d/m2d.sock, ~/.local/share/m2d/run/m2d.sock and /run/m2d/m2d.sock]' -r -F
complete -c m2 -n "__fish_m2_using_subcommand network; and __fish_seen_subcommand_from doctor" -l token-file -d 'A file with the access token to show [default: $M2_TOKEN_FILE, else the token in $M2_TOKEN, else none]' -r -F
complete -c m2 -n "__fish_m2_using_subcommand network; and __fish_seen_subcommand_from doctor" -l color -d 'Colours: auto (on a terminal, unless NO_COLOR is set), always, never' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Always'
never\t'Never'"
complete -c m2 -n "__fish_m2_using_subcommand network; and __fish_seen_subcommand_from doctor" -l json -d 'Print one JSON object per line; errors too, on stderr'
complete -c m2 -n "__fish_m2_using_subcommand network; and __fish_seen_subcommand_from doctor" -s h -l help -d 'Print help'
complete -c m2 -n "__fish_m2_using_subcommand network; and __fish_seen_subcommand_from status" -l socket -d 'The daemon\'s socket [default: $M2_SOCKET, else the first of these on which a daemon answers: $XDG_RUNTIME_DIR/m2d/m2d.sock, /run/user/UID/m2d/m2d.sock, ~/.local/share/m2d/run/m2d.sock and /run/m2d/m2d.sock]' -r -F
complete -c m2 -n "__fish_m2_using_subcommand network; and __fish_seen_subcommand_from status" -l token-file -d 'A file with the access token to show [default: $M2_TOKEN_FILE, else the token in $M2_TOKEN, else none]' -r -F
complete -c m2 -n "__fish_m2_using_subcommand network; and __fish_seen_subcommand_from status" -l color -d 'Colours: auto (on a terminal, unless NO_COLOR is set), always, never' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Always'
never\t'Never'"
complete -c m2 -n "__fish_m2_using_subcommand network; and __fish_seen_subcommand_from status" -l json -d 'Print one JSON object per line; errors too, on stderr'
complete -c m2 -n "__fish_m2_using_subcommand network; and __fish_seen_subcommand_from status" -s h -l help -d 'Print help'
complete -c m2 -n "__fish_m2_using_subcommand network; and __fish_seen_subcommand_from probe" -l socket -d 'The daemon\'s socket [default: $M2_SOCKET, else the first of these on which a daemon answers: $XDG_RUNTIME_DIR/m2d/m2d.sock, /run/user/UID/m2d/m2d.sock, ~/.local/share/m2d/run/m2d.sock and /run/m2d/m2d.sock]' -r -F
complete -c m2 -n "__fish_m2_using_subcommand network; and __fish_seen_subcommand_from probe" -l token-file -d 'A file with the access token to show [default: $M2_TOKEN_FILE, else the token in $M2_TOKEN, else none]' -r -F
complete -c m2 -n "__fish_m2_using_subcommand network; and __fish_seen_subcommand_from probe" -l color -d 'Colours: auto (on a terminal, unless NO_COLOR is set), always, never' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Always'
never\t'Never'"
complete -c m2 -n "__fish_m2_using_subcommand network; and __fish_seen_subcommand_from probe" -l json -d 'Print one JSON object per line; errors too, on stderr'
complete -c m2 -n "__fish_m2_using_subcommand network; and __fish_seen_subcommand_from probe" -s h -l help -d 'Print help'
complete -c m2 -n "__fish_m2_using_subcommand contact; and not __fish_seen_subcommand_from add list show requests accept decline block remove policy verify rename" -l socket -d 'The daemon\'s socket [default: $M2_SOCKET, else the first of these on which a daemon answers: $XDG_RUNTIME_DIR/m2d/m2d.sock, /run/user/UID/m2d/m2d.sock, ~/.local/share/m2d/run/m2d.sock and /run/m2d/m2d.sock]' -r -F
complete -c m2 -n "__fish_m2_using_subcommand contact; and not __fish_seen_subcommand_from add list show requests accept decline block remove policy verify rename" -l token-file -d 'A file with the access token to show [default: $M2_TOKEN_FILE, else the token in $M2_TOKEN, else none]' -r -F
complete -c m2 -n "__fish_m2_using_subcommand contact; and not __fish_seen_subcommand_from add list show requests accept decline block remove policy verify rename" -l color -d 'Colours: auto (on a terminal, unless NO_COLOR is set), always, never' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Always'
never\t'Never'"
complete -c m2 -n "__fish_m2_using_subcommand contact; and not __fish_seen_subcommand_from add list show requests accept decline block remove policy verify rename" -l json -d 'Print one JSON object per line; errors too, on stderr'
complete -c m2 -n "__fish_m2_using_subcommand contact; and not __fish_seen_subcommand_from add list show requests accept decline block remove policy verify rename" -s h -l help -d 'Print help'
complete -c m2 -n "__fish_m2_using_subcommand contact; and not __fish_seen_subcommand_from add list show requests accept decline block remove policy verify rename" -f -a "add" -d 'Add the peer that made an invitation as a contact'
complete -c m2 -n "__fish_m2_using_subcommand contact; and not __fish_seen_subcommand_from add list show requests accept decline block remove policy verify rename" -f -a "list" -d 'List contacts, and peers that may become contacts'
complete -c m2 -n "__fish_m2_using_subcommand contact; and not __fish_seen_subcommand_from add list show requests accept decline block remove policy verify rename" -f -a "show" -d 'Show all details of a contact'
complete -c m2 -n "__fish_m2_using_subcommand contact; and not __fish_seen_subcommand_from add list show requests accept decline block remove policy verify rename" -f -a "requests" -d 'List the peers that ask to become contacts'
complete -c m2 -n "__fish_m2_using_subcommand contact; and not __fish_seen_subcommand_from add list show requests accept decline block remove policy verify rename" -f -a "accept" -d 'Accept a peer\'s request'
complete -c m2 -n "__fish_m2_using_subcommand contact; and not __fish_seen_subcommand_from add list show requests accept decline block remove policy verify rename" -f -a "decline" -d 'Decline a peer\'s request; it may ask again'
complete -c m2 -n "__fish_m2_using_subcommand contact; and not __fish_seen_subcommand_from add list show requests accept decline block remove policy verify rename" -f -a "block" -d 'Block a peer: it gets no answer and can\'t ask again. `m2 contact remove` unblocks it'
complete -c m2 -n "__fish_m2_using_subcommand contact; and not __fish_seen_subcommand_from add list show requests accept decline block remove policy verify rename" -f -a "remove" -d 'Remove a contact and the messages that wait for it'
complete -c m2 -n "__fish_m2_using_subcommand contact; and not __fish_seen_subcommand_from add list show requests accept decline block remove policy verify rename" -f -a "policy" -d 'Show or set the policy for a contact: mailboxes, ways of sessions, retention'
complete -c m2 -n "__fish_m2_using_subcommand contact; and not __fish_seen_subcommand_from add list show requests accept decline block remove policy verify rename" -f -a "verify" -d 'Compare the verification code by voice'
complete -c m2 -n "__fish_m2_using_subcommand contact; and not __fish_seen_subcommand_from add list show requests accept decline block remove policy verify rename" -f -a "rename" -d 'Change the local name of a contact'
complete -c m2 -n "__fish_m2_using_subcommand contact; and __fish_seen_subcommand_from add" -l name -d 'The local name of the contact' -r
complete -c m2 -n "__fish_m2_using_subcommand contact; and __fish_seen_subcommand_from add" -l socket -d 'The daemon\'s socket [default: $M2_SOCKET, else the first of these on which a daemon answers: $XDG_RUNTIME_DIR/m2d/m2d.sock, /run/user/UID/m2d/m2d.sock, ~/.local/share/m2d/run/m2d.sock and /run/m2d/m2d.sock]' -r -F
complete -c m2 -n "__fish_m2_using_subcommand contact; and __fish_seen_subcommand_from add" -l token-file -d 'A file with the access token to show [default: $M2_TOKEN_FILE, else the token in $M2_TOKEN, else none]' -r -F
complete -c m2 -n "__fish_m2_using_subcommand contact; and __fish_seen_subcommand_from add" -l color -d 'Colours: auto (on a terminal, unless NO_COLOR is set), always, never' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Always'
never\t'Never'"
complete -c m2 -n "__fish_m2_using_subcommand contact; and __fish_seen_subcommand_from add" -l json -d 'Print one JSON object per line; errors too, on stderr'
complete -c m2 -n "__fish_m2_using_subcommand contact; and __fish_seen_subcommand_from add" -s h -l help -d 'Print help'
complete -c m2 -n "__fish_m2_using_subcommand contact; and __fish_seen_subcommand_from list" -l state -d 'List only those in this state' -r -f -a "contact\t''
asked\t''
request\t''
blocked\t''
declined\t''"
complete -c m2 -n "__fish_m2_using_subcommand contact; and __fish_seen_subcommand_from list" -l socket -d 'The daemon\'s socket [default: $M2_SOCKET, else the first of these on which a daemon answers: $XDG_RUNTIME_DIR/m2d/m2d.sock, /run/user/UID/m2d/m2d.sock, ~/.local/share/m2d/run/m2d.sock and /run/m2d/m2d.sock]' -r -F
complete -c m2 -n "__fish_m2_using_subcommand contact; and __fish_seen_subcommand_from list" -l token-file -d 'A file with the access token to show [default: $M2_TOKEN_FILE, else the token in $M2_TOKEN, else none]' -r -F
complete -c m2 -n "__fish_m2_using_subcommand contact; and __fish_seen_subcommand_from list" -l color -d 'Colours: auto (on a terminal, unless NO_COLOR is set), always, never' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Always'
never\t'Never'"
complete -c m2 -n "__fish_m2_using_subcommand contact; and __fish_seen_subcommand_from list" -l json -d 'Print one JSON object per line; errors too, on stderr'
complete -c m2 -n "__fish_m2_using_subcommand contact; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help'
complete -c m2 -n "__fish_m2_using_subcommand contact; and __fish_seen_subcommand_from show" -l socket -d 'The daemon\'s socket [default: $M2_SOCKET, else the first of these on which a daemon answers: $XDG_RUNTIME_DIR/m2d/m2d.sock, /run/user/UID/m2d/m2d.sock, ~/.local/share/m2d/run/m2d.sock and /run/m2d/m2d.sock]' -r -F
complete -c m2 -n "__fish_m2_using_subcommand contact; and __fish_seen_subcommand_from show" -l token-file -d 'A file with the access token to show [default: $M2_TOKEN_FILE, else the token in $M2_TOKEN, else none]' -r -F
complete -c m2 -n "__fish_m2_using_subcommand contact; and __fish_seen_subcommand_from show" -l color -d 'Colours: auto (on a terminal, unless NO_COLOR is set), always, never' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Always'
never\t'Never'"
complete -c m2 -n "__fish_m2_using_subcommand contact; and __fish_seen_subcommand_from show" -l json -d 'Print one JSON object per line; errors too, on stderr'
complete -c m2 -n "__fish_m2_using_subcommand contact; and __fish_seen_subcommand_from show" -s h -l help -d 'Print help'
complete -c m2 -n "__fish_m2_using_subcommand contact; and __fish_seen_subcommand_from requests" -l socket -d 'The daemon\'s socket [default: $M2_SOCKET, else the first of these on which a daemon answers: $XDG_RUNTIME_DIR/m2d/m2d.sock, /run/user/UID/m2d/m2d.sock, ~/.local/share/m2d/run/m2d.sock and /run/m2d/m2d.sock]' -r -F
complete -c m2 -n "__fish_m2_using_subcommand contact; and __fish_seen_subcommand_from requests" -l token-file -d 'A file with the access token to show [default: $M2_TOKEN_FILE, else the token in $M2_TOKEN, else none]' -r -F
complete -c m2 -n "__fish_m2_using_subcommand contact; and __fish_seen_subcommand_from requests" -l color -d 'Colours: auto (on a terminal, unless NO_COLOR is set), always, never' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Always'
never\t'Never'"
complete -c m2 -n "__fish_m2_using_subcommand contact; and __fish_seen_subcommand_from requests" -l json -d 'Print one JSON object per line; errors too, on stderr'
complete -c m2 -n "__fish_m2_using_subcommand contact; and __fish_seen_subcommand_from requests" -s h -l help -d 'Print help'
complete -c m2 -n "__fish_m2_using_subcommand contact; and __fish_seen_subcommand_from accept" -l name -d 'The local name of the contact' -r
complete -c m2 -n "__fish_m2_using_subcommand contact; and __fish_seen_subcommand_from accept" -l socket -d 'The daemon\'s socket [default: $M2_SOCKET, else the first of these on which a daemon answers: $XDG_RUNTIME_DIR/m2d/m2d.sock, /run/user/UID/m2d/m2d.sock, ~/.local/share/m2d/run/m2d.sock and /run/m2d/m2d.sock]' -r -F
complete -c m2 -n "__fish_m2_using_subcommand contact; and __fish_seen_subcommand_from accept" -l token-file -d 'A file with the access token to show [default: $M2_TOKEN_FILE, else the token in $M2_TOKEN, else none]' -r -F
complete -c m2 -n "__fish_m2_using_subcommand contact; and __fish_seen_subcommand_from accept" -l color -d 'Colours: auto (on a terminal, unless NO_COLOR is set), always, never' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Always'
never\t'Never'"
complete -c m2 -n "__fish_m2_using_subcommand contact; and __fish_seen_subcommand_from accept" -l json -d 'Print one JSON object per line; errors too, on stderr'
complete -c m2 -n "__fish_m2_using_subcommand contact; and __fish_seen_subcommand_from accept" -s h -l help -d 'Print help'
complete -c m2 -n "__fish_m2_using_subcommand contact; and __fish_seen_subcommand_from decline" -l socket -d 'The daemon\'s socket [default: $M2_SOCKET, else the first of these on which a daemon answers: $XDG_RUNTIME_DIR/m2d/m2d.sock, /run/user/UID/m2d/m2d.sock, ~/.local/share/m2d/run/m2d.sock and /run/m2d/m2d.sock]' -r -F
complete -c m2 -n "__fish_m2_using_subcommand contact; and __fish_seen_subcommand_from decline" -l token-file -d 'A file with the access token to show [default: $M2_TOKEN_FILE, else the token in $M2_TOKEN, else none]' -r -F
complete -c m2 -n "__fish_m2_using_subcommand contact; and __fish_seen_subcommand_from decline" -l color -d 'Colours: auto (on a terminal, unless NO_COLOR is set), always, never' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Always'
never\t'Never'"
complete -c m2 -n "__fish_m2_using_subcommand contact; and __fish_seen_subcommand_from decline" -l json -d 'Print one JSON object per line; errors too, on stderr'
complete -c m2 -n "__fish_m2_using_subcommand contact; and __fish_seen_subcommand_from decline" -s h -l help -d 'Print help'
complete -c m2 -n "__fish_m2_using_subcommand contact; and __fish_seen_subcommand_from block" -l socket -d 'The daemon\'s socket [default: $M2_SOCKET, else the first of these on which a daemon answers: $XDG_RUNTIME_DIR/m2d/m2d.sock, /run/user/UID/m2d/m2d.sock, ~/.local/share/m2d/run/m2d.sock and /run/m2d/m2d.sock]' -r -F
complete -c m2 -n "__fish_m2_using_subcommand contact; and __fish_seen_subcommand_from block" -l token-file -d 'A file with the access token to show [default: $M2_TOKEN_FILE, else the token in $M2_TOKEN, else none]' -r -F
complete -c m2 -n "__fish_m2_using_subcommand contact; and __fish_seen_subcommand_from block" -l color -d 'Colours: auto (on a terminal, unless NO_COLOR is set), always, never' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Always'
never\t'Never'"
complete -c m2 -n "__fish_m2_using_subcommand contact; and __fish_seen_subcommand_from block" -l json -d 'Print one JSON object per line; errors too, on stderr'
complete -c m2 -n "__fish_m2_using_subcommand contact; and __fish_seen_subcommand_from block" -s h -l help -d 'Print help'
complete -c m2 -n "__fish_m2_using_subcommand contact; and __fish_seen_subcommand_from remove" -l socket -d 'The daemon\'s socket [default: $M2_SOCKET, else the first of these on which a daemon answers: $XDG_RUNTIME_DIR/m2d/m2d.sock, /run/user/UID/m2d/m2d.sock, ~/.local/share/m2d/run/m2d.sock and /run/m2d/m2d.sock]' -r -F
complete -c m2 -n "__fish_m2_using_subcommand contact; and __fish_seen_subcommand_from remove" -l token-file -d 'A file with the access token to show [default: $M2_TOKEN_FILE, else the token in $M2_TOKEN, else none]' -r -F
complete -c m2 -n "__fish_m2_using_subcommand contact; and __fish_seen_subcommand_from remove" -l color -d 'Colours: auto (on a terminal, unless NO_COLOR is set), always, never' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Always'
never\t'Never'"
complete -c m2 -n "__fish_m2_using_subcommand contact; and __fish_seen_subcommand_from remove" -l history -d 'Delete the conversation\'s messages too'
complete -c m2 -n "__fish_m2_using_subcommand contact; and __fish_seen_subcommand_from remove" -l json -d 'Print one JSON object per line; errors too, on stderr'
complete -c m2 -n "__fish_m2_using_subcommand contact; and __fish_seen_subcommand_from remove" -s h -l help -d 'Print help'
complete -c m2 -n "__fish_m2_using_subcommand contact; and __fish_seen_subcommand_from policy" -l mailbox -d 'Set both of the following' -r -f -a "on\t''
off\t''"
complete -c m2 -n "__fish_m2_using_subcommand contact; and __fish_seen_subcommand_from policy" -l mailbox-grant -d 'Allow the contact to leave messages in your mailboxes' -r -f -a "on\t''
off\t''"
complete -c m2 -n "__fish_m2_using_subcommand contact; and __fish_seen_subcommand_from policy" -l mailbox-use -d 'Allow your messages to the contact to wait in its mailboxes' -r -f -a "on\t''
off\t''"
complete -c m2 -n "__fish_m2_using_subcommand contact; and __fish_seen_subcommand_from policy" -l ip -d 'The ways that sessions with the contact may take; can only be stricter than [privacy] ip' -r -f -a "direct\t'Directly, and over lines if that fails'
prefer-line\t'Over lines, and directly if that fails'
line-only\t'Only over lines'
default\t'As set by [privacy] ip'"
complete -c m2 -n "__fish_m2_using_subcommand contact; and __fish_seen_subcommand_from policy" -l keep -d 'How long messages are kept, such as 30d or 12h, or `default` for [store] keep_days; can only shorten it' -r
complete -c m2 -n "__fish_m2_using_subcommand contact; and __fish_seen_subcommand_from policy" -l socket -d 'The daemon\'s socket [default: $M2_SOCKET, else the first of these on which a daemon answers: $XDG_RUNTIME_DIR/m2d/m2d.sock, /run/user/UID/m2d/m2d.sock, ~/.local/share/m2d/run/m2d.sock and /run/m2d/m2d.sock]' -r -F
complete -c m2 -n "__fish_m2_using_subcommand contact; and __fish_seen_subcommand_from policy" -l token-file -d 'A file with the access token to show [default: $M2_TOKEN_FILE, else the token in $M2_TOKEN, else none]' -r -F
complete -c m2 -n "__fish_m2_using_subcommand contact; and __fish_seen_subcommand_from policy" -l color -d 'Colours: auto (on a terminal, unless NO_COLOR is set), always, never' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Always'
never\t'Never'"
complete -c m2 -n "__fish_m2_using_subcommand contact; and __fish_seen_subcommand_from policy" -l json -d 'Print one JSON object per line; errors too, on stderr'
complete -c m2 -n "__fish_m2_using_subcommand contact; and __fish_seen_subcommand_from policy" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c m2 -n "__fish_m2_using_subcommand contact; and __fish_seen_subcommand_from verify" -l socket -d 'The daemon\'s socket [default: $M2_SOCKET, else the first of these on which a daemon answers: $XDG_RUNTIME_DIR/m2d/m2d.sock, /run/user/UID/m2d/m2d.sock, ~/.local/share/m2d/run/m2d.sock and /run/m2d/m2d.sock]' -r -F
complete -c m2 -n "__fish_m2_using_subcommand contact; and __fish_seen_subcommand_from verify" -l token-file -d 'A file with the access token to show [default: $M2_TOKEN_FILE, else the token in $M2_TOKEN, else none]' -r -F
complete -c m2 -n "__fish_m2_using_subcommand contact; and __fish_seen_subcommand_from verify" -l color -d 'Colours: auto (on a terminal, unless NO_COLOR is set), always, never' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Always'
never\t'Never'"
complete -c m2 -n "__fish_m2_using_subcommand contact; and __fish_seen_subcommand_from verify" -l matched -d 'Record that both sides read the same digits'
complete -c m2 -n "__fish_m2_using_subcommand contact; and __fish_seen_subcommand_from verify" -l mismatched -d 'Record that the digits differ, or revoke an earlier match'
complete -c m2 -n "__fish_m2_using_subcommand contact; and __fish_seen_subcommand_from verify" -l json -d 'Print one JSON object per line; errors too, on stderr'
complete -c m2 -n "__fish_m2_using_subcommand contact; and __fish_seen_subcommand_from verify" -s h -l help -d 'Print help'
complete -c m2 -n "__fish_m2_using_subcommand contact; and __fish_seen_subcommand_from rename" -l socket -d 'The daemon\'s socket [default: $M2_SOCKET, else the first of these on which a daemon answers: $XDG_RUNTIME_DIR/m2d/m2d.sock, /run/user/UID/m2d/m2d.sock, ~/.local/share/m2d/run/m2d.sock and /run/m2d/m2d.sock]' -r -F
complete -c m2 -n "__fish_m2_using_subcommand contact; and __fish_seen_subcommand_from rename" -l token-file -d 'A file with the access token to show [default: $M2_TOKEN_FILE, else the token in $M2_TOKEN, else none]' -r -F
complete -c m2 -n "__fish_m2_using_subcommand contact; and __fish_seen_subcommand_from rename" -l color -d 'Colours: auto (on a terminal, unless NO_COLOR is set), always, never' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Always'
never\t'Never'"
complete -c m2 -n "__fish_m2_using_subcommand contact; and __fish_seen_subcommand_from rename" -l json -d 'Print one JSON object per line; errors too, on stderr'
complete -c m2 -n "__fish_m2_using_subcommand contact; and __fish_seen_subcommand_from rename" -s h -l help -d 'Print help'
complete -c m2 -n "__fish_m2_using_subcommand send" -l type -d 'Send the bytes unchanged, with this media type' -r
complete -c m2 -n "__fish_m2_using_subcommand send" -l ttl -d 'Delete it on both sides after this time: 1s to 365d' -r
complete -c m2 -n "__fish_m2_using_subcommand send" -l key -d 'A key that makes it safe to repeat a call: within 30 days, the same key and content send one message' -r
complete -c m2 -n "__fish_m2_using_subcommand send" -l reply-to -d 'The id of the message to which this one replies, in the same conversation' -r
complete -c m2 -n "__fish_m2_using_subcommand send" -l thread -d 'The id of the first message of the thread to which this one belongs, in the same conversation' -r
complete -c m2 -n "__fish_m2_using_subcommand send" -l wait -d 'The delivery state to wait for' -r -f -a "queued\t'Stored durably in the outbox'
sent\t'Passed to a session, or deposited in a mailbox'
delivered\t'Stored by the recipient\'s daemon'"
complete -c m2 -n "__fish_m2_using_subcommand send" -l timeout -d 'How long to wait for that state; after that the exit code is 4, and the message stays queued' -r
complete -c m2 -n "__fish_m2_using_subcommand send" -l socket -d 'The daemon\'s socket [default: $M2_SOCKET, else the first of these on which a daemon answers: $XDG_RUNTIME_DIR/m2d/m2d.sock, /run/user/UID/m2d/m2d.sock, ~/.local/share/m2d/run/m2d.sock and /run/m2d/m2d.sock]' -r -F
complete -c m2 -n "__fish_m2_using_subcommand send" -l token-file -d 'A file with the access token to show [default: $M2_TOKEN_FILE, else the token in $M2_TOKEN, else none]' -r -F
complete -c m2 -n "__fish_m2_using_subcommand send" -l color -d 'Colours: auto (on a terminal, unless NO_COLOR is set), always, never' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Always'
never\t'Never'"
complete -c m2 -n "__fish_m2_using_subcommand send" -l lines -d 'Send every line of stdin as a message of its own, as soon as it is read. Empty lines are skipped'
complete -c m2 -n "__fish_m2_using_subcommand send" -l stop-on-error -d 'Send no line after one that fails. Each line then waits until the one before it is queued, which is slower'
complete -c m2 -n "__fish_m2_using_subcommand send" -l json -d 'Print one JSON object per line; errors too, on stderr'
complete -c m2 -n "__fish_m2_using_subcommand send" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c m2 -n "__fish_m2_using_subcommand reply" -l type -d 'Send the bytes unchanged, with this media type' -r
complete -c m2 -n "__fish_m2_using_subcommand reply" -l ttl -d 'Delete it on both sides after this time: 1s to 365d' -r
complete -c m2 -n "__fish_m2_using_subcommand reply" -l key -d 'A key that makes it safe to repeat a call: within 30 days, the same key and content send one message' -r
complete -c m2 -n "__fish_m2_using_subcommand reply" -l wait -d 'The delivery state to wait for' -r -f -a "queued\t'Stored durably in the outbox'
sent\t'Passed to a session, or deposited in a mailbox'
delivered\t'Stored by the recipient\'s daemon'"
complete -c m2 -n "__fish_m2_using_subcommand reply" -l timeout -d 'How long to wait for that state; after that the exit code is 4, and the message stays queued' -r
complete -c m2 -n "__fish_m2_using_subcommand reply" -l socket -d 'The daemon\'s socket [default: $M2_SOCKET, else the first of these on which a daemon answers: $XDG_RUNTIME_DIR/m2d/m2d.sock, /run/user/UID/m2d/m2d.sock, ~/.local/share/m2d/run/m2d.sock and /run/m2d/m2d.sock]' -r -F
complete -c m2 -n "__fish_m2_using_subcommand reply" -l token-file -d 'A file with the access token to show [default: $M2_TOKEN_FILE, else the token in $M2_TOKEN, else none]' -r -F
complete -c m2 -n "__fish_m2_using_subcommand reply" -l color -d 'Colours: auto (on a terminal, unless NO_COLOR is set), always, never' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Always'
never\t'Never'"
complete -c m2 -n "__fish_m2_using_subcommand reply" -l last -d 'Reply to the newest message that the contact MESSAGE has sent'
complete -c m2 -n "__fish_m2_using_subcommand reply" -l json -d 'Print one JSON object per line; errors too, on stderr'
complete -c m2 -n "__fish_m2_using_subcommand reply" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c m2 -n "__fish_m2_using_subcommand ask" -l timeout -d 'How long to wait for the reply; after that the exit code is 4, and the question stays queued' -r
complete -c m2 -n "__fish_m2_using_subcommand ask" -l ttl -d 'Delete the question on both sides after this time: 1s to 365d' -r
complete -c m2 -n "__fish_m2_using_subcommand ask" -l socket -d 'The daemon\'s socket [default: $M2_SOCKET, else the first of these on which a daemon answers: $XDG_RUNTIME_DIR/m2d/m2d.sock, /run/user/UID/m2d/m2d.sock, ~/.local/share/m2d/run/m2d.sock and /run/m2d/m2d.sock]' -r -F
complete -c m2 -n "__fish_m2_using_subcommand ask" -l token-file -d 'A file with the access token to show [default: $M2_TOKEN_FILE, else the token in $M2_TOKEN, else none]' -r -F
complete -c m2 -n "__fish_m2_using_subcommand ask" -l color -d 'Colours: auto (on a terminal, unless NO_COLOR is set), always, never' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Always'
never\t'Never'"
complete -c m2 -n "__fish_m2_using_subcommand ask" -l any-reply -d 'Also accept the contact\'s next message that refers to no other one'
complete -c m2 -n "__fish_m2_using_subcommand ask" -l json -d 'Print one JSON object per line; errors too, on stderr'
complete -c m2 -n "__fish_m2_using_subcommand ask" -s h -l help -d 'Print help'
complete -c m2 -n "__fish_m2_using_subcommand watch" -l socket -d 'The daemon\'s socket [default: $M2_SOCKET, else the first of these on which a daemon answers: $XDG_RUNTIME_DIR/m2d/m2d.sock, /run/user/UID/m2d/m2d.sock, ~/.local/share/m2d/run/m2d.sock and /run/m2d/m2d.sock]' -r -F
complete -c m2 -n "__fish_m2_using_subcommand watch" -l token-file -d 'A file with the access token to show [default: $M2_TOKEN_FILE, else the token in $M2_TOKEN, else none]' -r -F
complete -c m2 -n "__fish_m2_using_subcommand watch" -l color -d 'Colours: auto (on a terminal, unless NO_COLOR is set), always, never' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Always'
never\t'Never'"
complete -c m2 -n "__fish_m2_using_subcommand watch" -l json -d 'Print one JSON object per line; errors too, on stderr'
complete -c m2 -n "__fish_m2_using_subcommand watch" -s h -l help -d 'Print help'
complete -c m2 -n "__fish_m2_using_subcommand listen" -l client -d 'Keep the position of this front-end in the daemon under NAME: events that were printed, or for which CMD succeeded, are not repeated. `m2 client list` shows the names' -r
complete -c m2 -n "__fish_m2_using_subcommand listen" -l from -d 'Where to begin: `now`, `start`, or after an event\'s cursor [default: the position of the client; a new client, or one without a name, begins now]' -r
complete -c m2 -n "__fish_m2_using_subcommand listen" -l exec -d 'Run this shell command for every event, instead of printing it' -r
complete -c m2 -n "__fish_m2_using_subcommand listen" -l jobs -d 'Run CMD for up to N contacts at once, 1 to 64. The events of one contact are handled one after another, in order' -r
complete -c m2 -n "__fish_m2_using_subcommand listen" -l retry-delay -d 'The pause before CMD is tried again; it doubles with each attempt' -r
complete -c m2 -n "__fish_m2_using_subcommand listen" -l count -d 'Stop after this many events' -r
complete -c m2 -n "__fish_m2_using_subcommand listen" -l kind -d 'Only events of this kind, named as in the JSON output; can be repeated' -r -f -a "messageReceived\t''
messageState\t''
messageEdited\t''
messageRetracted\t''
messageReacted\t''
messageExpired\t''
contactRequest\t''
contactAdded\t''
contactDeclined\t''
contactRemoved\t''
gap\t''
historyLost\t''
ownConflict\t''
contactConflict\t''
typing\t''
presence\t''"
complete -c m2 -n "__fish_m2_using_subcommand listen" -l contact -d 'Only events of this contact: name, peer id, or at least the first 10 characters of the peer id; can be repeated' -r
complete -c m2 -n "__fish_m2_using_subcommand listen" -l lease -d 'How long CMD may take before the event is given to another worker: 1s to 12h [default: 30s]' -r
complete -c m2 -n "__fish_m2_using_subcommand listen" -l deliveries -d 'How often an event is given to workers before it becomes a dead letter: 1 to 100 [default: 5]' -r
complete -c m2 -n "__fish_m2_using_subcommand listen" -l heartbeat -d 'Print when all events have been seen, and then at this interval: 1s to 1h' -r
complete -c m2 -n "__fish_m2_using_subcommand listen" -l socket -d 'The daemon\'s socket [default: $M2_SOCKET, else the first of these on which a daemon answers: $XDG_RUNTIME_DIR/m2d/m2d.sock, /run/user/UID/m2d/m2d.sock, ~/.local/share/m2d/run/m2d.sock and /run/m2d/m2d.sock]' -r -F
complete -c m2 -n "__fish_m2_using_subcommand listen" -l token-file -d 'A file with the access token to show [default: $M2_TOKEN_FILE, else the token in $M2_TOKEN, else none]' -r -F
complete -c m2 -n "__fish_m2_using_subcommand listen" -l color -d 'Colours: auto (on a terminal, unless NO_COLOR is set), always, never' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Always'
never\t'Never'"
complete -c m2 -n "__fish_m2_using_subcommand listen" -l notices -d 'Print notices as well: what contacts do at this moment, such as typing. A notice is not stored, has no cursor, and does not count for --count'
complete -c m2 -n "__fish_m2_using_subcommand listen" -l presence -d 'Print which contacts are online and on which path, at the start and whenever it changes'
complete -c m2 -n "__fish_m2_using_subcommand listen" -l shared -d 'Be one of several workers that share the events of --client'
complete -c m2 -n "__fish_m2_using_subcommand listen" -l reconnect -d 'Wait while the daemon is not running, stopping or locked, and continue after the last event'
complete -c m2 -n "__fish_m2_using_subcommand listen" -l json -d 'Print one JSON object per line; errors too, on stderr'
complete -c m2 -n "__fish_m2_using_subcommand listen" -s h -l help -d 'Print help'
complete -c m2 -n "__fish_m2_using_subcommand client; and not __fish_seen_subcommand_from list dead-letters remove" -l socket -d 'The daemon\'s socket [default: $M2_SOCKET, else the first of these on which a daemon answers: $XDG_RUNTIME_DIR/m2d/m2d.sock, /run/user/UID/m2d/m2d.sock, ~/.local/share/m2d/run/m2d.sock and /run/m2d/m2d.sock]' -r -F
complete -c m2 -n "__fish_m2_using_subcommand client; and not __fish_seen_subcommand_from list dead-letters remove" -l token-file -d 'A file with the access token to show [default: $M2_TOKEN_FILE, else the token in $M2_TOKEN, else none]' -r -F
complete -c m2 -n "__fish_m2_using_subcommand client; and not __fish_seen_subcommand_from list dead-letters remove" -l color -d 'Colours: auto (on a terminal, unless NO_COLOR is set), always, never' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Always'
never\t'Never'"
complete -c m2 -n "__fish_m2_using_subcommand client; and not __fish_seen_subcommand_from list dead-letters remove" -l json -d 'Print one JSON object per line; errors too, on stderr'
complete -c m2 -n "__fish_m2_using_subcommand client; and not __fish_seen_subcommand_from list dead-letters remove" -s h -l help -d 'Print help'
complete -c m2 -n "__fish_m2_using_subcommand client; and not __fish_seen_subcommand_from list dead-letters remove" -f -a "list" -d 'List the names, with the number of events that each has not acknowledged'
complete -c m2 -n "__fish_m2_using_subcommand client; and not __fish_seen_subcommand_from list dead-letters remove" -f -a "dead-letters" -d 'List the events that the workers of a shared name could not handle, retry them or drop them'
complete -c m2 -n "__fish_m2_using_subcommand client; and not __fish_seen_subcommand_from list dead-letters remove" -f -a "remove" -d 'Delete a name and its position; no front-end may be listening under it'
complete -c m2 -n "__fish_m2_using_subcommand client; and __fish_seen_subcommand_from list" -l socket -d 'The daemon\'s socket [default: $M2_SOCKET, else the first of these on which a daemon answers: $XDG_RUNTIME_DIR/m2d/m2d.sock, /run/user/UID/m2d/m2d.sock, ~/.local/share/m2d/run/m2d.sock and /run/m2d/m2d.sock]' -r -F
complete -c m2 -n "__fish_m2_using_subcommand client; and __fish_seen_subcommand_from list" -l token-file -d 'A file with the access token to show [default: $M2_TOKEN_FILE, else the token in $M2_TOKEN, else none]' -r -F
complete -c m2 -n "__fish_m2_using_subcommand client; and __fish_seen_subcommand_from list" -l color -d 'Colours: auto (on a terminal, unless NO_COLOR is set), always, never' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Always'
never\t'Never'"
complete -c m2 -n "__fish_m2_using_subcommand client; and __fish_seen_subcommand_from list" -l json -d 'Print one JSON object per line; errors too, on stderr'
complete -c m2 -n "__fish_m2_using_subcommand client; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help'
complete -c m2 -n "__fish_m2_using_subcommand client; and __fish_seen_subcommand_from dead-letters" -l retry -d 'Give the event at this cursor to workers again, or `all` of them; can be repeated' -r
complete -c m2 -n "__fish_m2_using_subcommand client; and __fish_seen_subcommand_from dead-letters" -l drop -d 'Drop the event at this cursor, or `all` of them; can be repeated' -r
complete -c m2 -n "__fish_m2_using_subcommand client; and __fish_seen_subcommand_from dead-letters" -l socket -d 'The daemon\'s socket [default: $M2_SOCKET, else the first of these on which a daemon answers: $XDG_RUNTIME_DIR/m2d/m2d.sock, /run/user/UID/m2d/m2d.sock, ~/.local/share/m2d/run/m2d.sock and /run/m2d/m2d.sock]' -r -F
complete -c m2 -n "__fish_m2_using_subcommand client; and __fish_seen_subcommand_from dead-letters" -l token-file -d 'A file with the access token to show [default: $M2_TOKEN_FILE, else the token in $M2_TOKEN, else none]' -r -F
complete -c m2 -n "__fish_m2_using_subcommand client; and __fish_seen_subcommand_from dead-letters" -l color -d 'Colours: auto (on a terminal, unless NO_COLOR is set), always, never' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Always'
never\t'Never'"
complete -c m2 -n "__fish_m2_using_subcommand client; and __fish_seen_subcommand_from dead-letters" -l json -d 'Print one JSON object per line; errors too, on stderr'
complete -c m2 -n "__fish_m2_using_subcommand client; and __fish_seen_subcommand_from dead-letters" -s h -l help -d 'Print help'
complete -c m2 -n "__fish_m2_using_subcommand client; and __fish_seen_subcommand_from remove" -l socket -d 'The daemon\'s socket [default: $M2_SOCKET, else the first of these on which a daemon answers: $XDG_RUNTIME_DIR/m2d/m2d.sock, /run/user/UID/m2d/m2d.sock, ~/.local/share/m2d/run/m2d.sock and /run/m2d/m2d.sock]' -r -F
complete -c m2 -n "__fish_m2_using_subcommand client; and __fish_seen_subcommand_from remove" -l token-file -d 'A file with the access token to show [default: $M2_TOKEN_FILE, else the token in $M2_TOKEN, else none]' -r -F
complete -c m2 -n "__fish_m2_using_subcommand client; and __fish_seen_subcommand_from remove" -l color -d 'Colours: auto (on a terminal, unless NO_COLOR is set), always, never' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Always'
never\t'Never'"
complete -c m2 -n "__fish_m2_using_subcommand client; and __fish_seen_subcommand_from remove" -l json -d 'Print one JSON object per line; errors too, on stderr'
complete -c m2 -n "__fish_m2_using_subcommand client; and __fish_seen_subcommand_from remove" -s h -l help -d 'Print help'
complete -c m2 -n "__fish_m2_using_subcommand token; and not __fish_seen_subcommand_from create list revoke uses" -l socket -d 'The daemon\'s socket [default: $M2_SOCKET, else the first of these on which a daemon answers: $XDG_RUNTIME_DIR/m2d/m2d.sock, /run/user/UID/m2d/m2d.sock, ~/.local/share/m2d/run/m2d.sock and /run/m2d/m2d.sock]' -r -F
complete -c m2 -n "__fish_m2_using_subcommand token; and not __fish_seen_subcommand_from create list revoke uses" -l token-file -d 'A file with the access token to show [default: $M2_TOKEN_FILE, else the token in $M2_TOKEN, else none]' -r -F
complete -c m2 -n "__fish_m2_using_subcommand token; and not __fish_seen_subcommand_from create list revoke uses" -l color -d 'Colours: auto (on a terminal, unless NO_COLOR is set), always, never' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Always'
never\t'Never'"
complete -c m2 -n "__fish_m2_using_subcommand token; and not __fish_seen_subcommand_from create list revoke uses" -l json -d 'Print one JSON object per line; errors too, on stderr'
complete -c m2 -n "__fish_m2_using_subcommand token; and not __fish_seen_subcommand_from create list revoke uses" -s h -l help -d 'Print help'
complete -c m2 -n "__fish_m2_using_subcommand token; and not __fish_seen_subcommand_from create list revoke uses" -f -a "create" -d 'Create a token and print it; it is not shown again'
complete -c m2 -n "__fish_m2_using_subcommand token; and not __fish_seen_subcommand_from create list revoke uses" -f -a "list" -d 'List the tokens, with what each permits'
complete -c m2 -n "__fish_m2_using_subcommand token; and not __fish_seen_subcommand_from create list revoke uses" -f -a "revoke" -d 'Revoke a token; its open streams end at once'
complete -c m2 -n "__fish_m2_using_subcommand token; and not __fish_seen_subcommand_from create list revoke uses" -f -a "uses" -d 'Show what tokens were used for in the last 90 days'
complete -c m2 -n "__fish_m2_using_subcommand token; and __fish_seen_subcommand_from create" -l scope -d 'What it permits; several are separated by commas' -r -f -a "events\t'Receive and acknowledge events'
send\t'Send, edit and retract messages, react, mark as read'
history\t'Read and search messages'
contacts\t'Add, accept, rename, block and remove contacts, make invitations'
admin\t'Everything but unlocking, backups and tokens'
status\t'Read the daemon\'s status, which names no contact'"
complete -c m2 -n "__fish_m2_using_subcommand token; and __fish_seen_subcommand_from create" -l contact -d 'Limit it to this contact; may be repeated' -r
complete -c m2 -n "__fish_m2_using_subcommand token; and __fish_seen_subcommand_from create" -l expires -d 'How long it is valid: 1 minute to 3,650 days [default: until it is revoked]' -r
complete -c m2 -n "__fish_m2_using_subcommand token; and __fish_seen_subcommand_from create" -l socket -d 'The daemon\'s socket [default: $M2_SOCKET, else the first of these on which a daemon answers: $XDG_RUNTIME_DIR/m2d/m2d.sock, /run/user/UID/m2d/m2d.sock, ~/.local/share/m2d/run/m2d.sock and /run/m2d/m2d.sock]' -r -F
complete -c m2 -n "__fish_m2_using_subcommand token; and __fish_seen_subcommand_from create" -l token-file -d 'A file with the access token to show [default: $M2_TOKEN_FILE, else the token in $M2_TOKEN, else none]' -r -F
complete -c m2 -n "__fish_m2_using_subcommand token; and __fish_seen_subcommand_from create" -l color -d 'Colours: auto (on a terminal, unless NO_COLOR is set), always, never' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Always'
never\t'Never'"
complete -c m2 -n "__fish_m2_using_subcommand token; and __fish_seen_subcommand_from create" -l json -d 'Print one JSON object per line; errors too, on stderr'
complete -c m2 -n "__fish_m2_using_subcommand token; and __fish_seen_subcommand_from create" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c m2 -n "__fish_m2_using_subcommand token; and __fish_seen_subcommand_from list" -l socket -d 'The daemon\'s socket [default: $M2_SOCKET, else the first of these on which a daemon answers: $XDG_RUNTIME_DIR/m2d/m2d.sock, /run/user/UID/m2d/m2d.sock, ~/.local/share/m2d/run/m2d.sock and /run/m2d/m2d.sock]' -r -F
complete -c m2 -n "__fish_m2_using_subcommand token; and __fish_seen_subcommand_from list" -l token-file -d 'A file with the access token to show [default: $M2_TOKEN_FILE, else the token in $M2_TOKEN, else none]' -r -F
complete -c m2 -n "__fish_m2_using_subcommand token; and __fish_seen_subcommand_from list" -l color -d 'Colours: auto (on a terminal, unless NO_COLOR is set), always, never' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Always'
never\t'Never'"
complete -c m2 -n "__fish_m2_using_subcommand token; and __fish_seen_subcommand_from list" -l json -d 'Print one JSON object per line; errors too, on stderr'
complete -c m2 -n "__fish_m2_using_subcommand token; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help'
complete -c m2 -n "__fish_m2_using_subcommand token; and __fish_seen_subcommand_from revoke" -l socket -d 'The daemon\'s socket [default: $M2_SOCKET, else the first of these on which a daemon answers: $XDG_RUNTIME_DIR/m2d/m2d.sock, /run/user/UID/m2d/m2d.sock, ~/.local/share/m2d/run/m2d.sock and /run/m2d/m2d.sock]' -r -F
complete -c m2 -n "__fish_m2_using_subcommand token; and __fish_seen_subcommand_from revoke" -l token-file -d 'A file with the access token to show [default: $M2_TOKEN_FILE, else the token in $M2_TOKEN, else none]' -r -F
complete -c m2 -n "__fish_m2_using_subcommand token; and __fish_seen_subcommand_from revoke" -l color -d 'Colours: auto (on a terminal, unless NO_COLOR is set), always, never' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Always'
never\t'Never'"
complete -c m2 -n "__fish_m2_using_subcommand token; and __fish_seen_subcommand_from revoke" -l json -d 'Print one JSON object per line; errors too, on stderr'
complete -c m2 -n "__fish_m2_using_subcommand token; and __fish_seen_subcommand_from revoke" -s h -l help -d 'Print help'
complete -c m2 -n "__fish_m2_using_subcommand token; and __fish_seen_subcommand_from uses" -l limit -d 'The most entries, 1 to 1,000' -r
complete -c m2 -n "__fish_m2_using_subcommand token; and __fish_seen_subcommand_from uses" -l socket -d 'The daemon\'s socket [default: $M2_SOCKET, else the first of these on which a daemon answers: $XDG_RUNTIME_DIR/m2d/m2d.sock, /run/user/UID/m2d/m2d.sock, ~/.local/share/m2d/run/m2d.sock and /run/m2d/m2d.sock]' -r -F
complete -c m2 -n "__fish_m2_using_subcommand token; and __fish_seen_subcommand_from uses" -l token-file -d 'A file with the access token to show [default: $M2_TOKEN_FILE, else the token in $M2_TOKEN, else none]' -r -F
complete -c m2 -n "__fish_m2_using_subcommand token; and __fish_seen_subcommand_from uses" -l color -d 'Colours: auto (on a terminal, unless NO_COLOR is set), always, never' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Always'
never\t'Never'"
complete -c m2 -n "__fish_m2_using_subcommand token; and __fish_seen_subcommand_from uses" -l json -d 'Print one JSON object per line; errors too, on stderr'
complete -c m2 -n "__fish_m2_using_subcommand token; and __fish_seen_subcommand_from uses" -s h -l help -d 'Print help'
complete -c m2 -n "__fish_m2_using_subcommand read" -l socket -d 'The daemon\'s socket [default: $M2_SOCKET, else the first of these on which a daemon answers: $XDG_RUNTIME_DIR/m2d/m2d.sock, /run/user/UID/m2d/m2d.sock, ~/.local/share/m2d/run/m2d.sock and /run/m2d/m2d.sock]' -r -F
complete -c m2 -n "__fish_m2_using_subcommand read" -l token-file -d 'A file with the access token to show [default: $M2_TOKEN_FILE, else the token in $M2_TOKEN, else none]' -r -F
complete -c m2 -n "__fish_m2_using_subcommand read" -l color -d 'Colours: auto (on a terminal, unless NO_COLOR is set), always, never' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Always'
never\t'Never'"
complete -c m2 -n "__fish_m2_using_subcommand read" -l json -d 'Print one JSON object per line; errors too, on stderr'
complete -c m2 -n "__fish_m2_using_subcommand read" -s h -l help -d 'Print help'
complete -c m2 -n "__fish_m2_using_subcommand edit" -l socket -d 'The daemon\'s socket [default: $M2_SOCKET, else the first of these on which a daemon answers: $XDG_RUNTIME_DIR/m2d/m2d.sock, /run/user/UID/m2d/m2d.sock, ~/.local/share/m2d/run/m2d.sock and /run/m2d/m2d.sock]' -r -F
complete -c m2 -n "__fish_m2_using_subcommand edit" -l token-file -d 'A file with the access token to show [default: $M2_TOKEN_FILE, else the token in $M2_TOKEN, else none]' -r -F
complete -c m2 -n "__fish_m2_using_subcommand edit" -l color -d 'Colours: auto (on a terminal, unless NO_COLOR is set), always, never' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Always'
never\t'Never'"
complete -c m2 -n "__fish_m2_using_subcommand edit" -l json -d 'Print one JSON object per line; errors too, on stderr'
complete -c m2 -n "__fish_m2_using_subcommand edit" -s h -l help -d 'Print help'
complete -c m2 -n "__fish_m2_using_subcommand retract" -l socket -d 'The daemon\'s socket [default: $M2_SOCKET, else the first of these on which a daemon answers: $XDG_RUNTIME_DIR/m2d/m2d.sock, /run/user/UID/m2d/m2d.sock, ~/.local/share/m2d/run/m2d.sock and /run/m2d/m2d.sock]' -r -F
complete -c m2 -n "__fish_m2_using_subcommand retract" -l token-file -d 'A file with the access token to show [default: $M2_TOKEN_FILE, else the token in $M2_TOKEN, else none]' -r -F
complete -c m2 -n "__fish_m2_using_subcommand retract" -l color -d 'Colours: auto (on a terminal, unless NO_COLOR is set), always, never' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Always'
never\t'Never'"
complete -c m2 -n "__fish_m2_using_subcommand retract" -l json -d 'Print one JSON object per line; errors too, on stderr'
complete -c m2 -n "__fish_m2_using_subcommand retract" -s h -l help -d 'Print help'
complete -c m2 -n "__fish_m2_using_subcommand react" -l socket -d 'The daemon\'s socket [default: $M2_SOCKET, else the first of these on which a daemon answers: $XDG_RUNTIME_DIR/m2d/m2d.sock, /run/user/UID/m2d/m2d.sock, ~/.local/share/m2d/run/m2d.sock and /run/m2d/m2d.sock]' -r -F
complete -c m2 -n "__fish_m2_using_subcommand react" -l token-file -d 'A file with the access token to show [default: $M2_TOKEN_FILE, else the token in $M2_TOKEN, else none]' -r -F
complete -c m2 -n "__fish_m2_using_subcommand react" -l color -d 'Colours: auto (on a terminal, unless NO_COLOR is set), always, never' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Always'
never\t'Never'"
complete -c m2 -n "__fish_m2_using_subcommand react" -l remove -d 'Remove your reaction'
complete -c m2 -n "__fish_m2_using_subcommand react" -l json -d 'Print one JSON object per line; errors too, on stderr'
complete -c m2 -n "__fish_m2_using_subcommand react" -s h -l help -d 'Print help'
complete -c m2 -n "__fish_m2_using_subcommand typing" -l socket -d 'The daemon\'s socket [default: $M2_SOCKET, else the first of these on which a daemon answers: $XDG_RUNTIME_DIR/m2d/m2d.sock, /run/user/UID/m2d/m2d.sock, ~/.local/share/m2d/run/m2d.sock and /run/m2d/m2d.sock]' -r -F
complete -c m2 -n "__fish_m2_using_subcommand typing" -l token-file -d 'A file with the access token to show [default: $M2_TOKEN_FILE, else the token in $M2_TOKEN, else none]' -r -F
complete -c m2 -n "__fish_m2_using_subcommand typing" -l color -d 'Colours: auto (on a terminal, unless NO_COLOR is set), always, never' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Always'
never\t'Never'"
complete -c m2 -n "__fish_m2_using_subcommand typing" -l stopped -d 'Tell the contact that you stopped'
complete -c m2 -n "__fish_m2_using_subcommand typing" -l json -d 'Print one JSON object per line; errors too, on stderr'
complete -c m2 -n "__fish_m2_using_subcommand typing" -s h -l help -d 'Print help'
complete -c m2 -n "__fish_m2_using_subcommand history" -l limit -d 'The number of messages to show, counted from the newest; with --forward, from the oldest' -r
complete -c m2 -n "__fish_m2_using_subcommand history" -l before -d 'Show only messages before this cursor' -r
complete -c m2 -n "__fish_m2_using_subcommand history" -l after -d 'Show only messages after this cursor' -r
complete -c m2 -n "__fish_m2_using_subcommand history" -l since -d 'Show only messages that arrived or were sent since this time: 2026-01-31, "2026-01-31 12:00", a time of RFC 3339, or how long ago, such as 2h' -r
complete -c m2 -n "__fish_m2_using_subcommand history" -l until -d 'Show only messages that arrived or were sent before this time' -r
complete -c m2 -n "__fish_m2_using_subcommand history" -l socket -d 'The daemon\'s socket [default: $M2_SOCKET, else the first of these on which a daemon answers: $XDG_RUNTIME_DIR/m2d/m2d.sock, /run/user/UID/m2d/m2d.sock, ~/.local/share/m2d/run/m2d.sock and /run/m2d/m2d.sock]' -r -F
complete -c m2 -n "__fish_m2_using_subcommand history" -l token-file -d 'A file with the access token to show [default: $M2_TOKEN_FILE, else the token in $M2_TOKEN, else none]' -r -F
complete -c m2 -n "__fish_m2_using_subcommand history" -l color -d 'Colours: auto (on a terminal, unless NO_COLOR is set), always, never' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Always'
never\t'Never'"
complete -c m2 -n "__fish_m2_using_subcommand history" -l forward -d 'Begin with the oldest message, not with the newest'
complete -c m2 -n "__fish_m2_using_subcommand history" -l ids -d 'Show message ids (always included with --json)'
complete -c m2 -n "__fish_m2_using_subcommand history" -l json -d 'Print one JSON object per line; errors too, on stderr'
complete -c m2 -n "__fish_m2_using_subcommand history" -s h -l help -d 'Print help'
complete -c m2 -n "__fish_m2_using_subcommand search" -l contact -d 'Search in the conversation with this contact only: name, peer id, or at least the first 10 characters of the peer id' -r
complete -c m2 -n "__fish_m2_using_subcommand search" -l limit -d 'The number of messages to show, counted from the newest' -r
complete -c m2 -n "__fish_m2_using_subcommand search" -l socket -d 'The daemon\'s socket [default: $M2_SOCKET, else the first of these on which a daemon answers: $XDG_RUNTIME_DIR/m2d/m2d.sock, /run/user/UID/m2d/m2d.sock, ~/.local/share/m2d/run/m2d.sock and /run/m2d/m2d.sock]' -r -F
complete -c m2 -n "__fish_m2_using_subcommand search" -l token-file -d 'A file with the access token to show [default: $M2_TOKEN_FILE, else the token in $M2_TOKEN, else none]' -r -F
complete -c m2 -n "__fish_m2_using_subcommand search" -l color -d 'Colours: auto (on a terminal, unless NO_COLOR is set), always, never' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Always'
never\t'Never'"
complete -c m2 -n "__fish_m2_using_subcommand search" -l ids -d 'Show message ids (always included with --json)'
complete -c m2 -n "__fish_m2_using_subcommand search" -l json -d 'Print one JSON object per line; errors too, on stderr'
complete -c m2 -n "__fish_m2_using_subcommand search" -s h -l help -d 'Print help'
complete -c m2 -n "__fish_m2_using_subcommand backup; and not __fish_seen_subcommand_from create verify rehearse" -l socket -d 'The daemon\'s socket [default: $M2_SOCKET, else the first of these on which a daemon answers: $XDG_RUNTIME_DIR/m2d/m2d.sock, /run/user/UID/m2d/m2d.sock, ~/.local/share/m2d/run/m2d.sock and /run/m2d/m2d.sock]' -r -F
complete -c m2 -n "__fish_m2_using_subcommand backup; and not __fish_seen_subcommand_from create verify rehearse" -l token-file -d 'A file with the access token to show [default: $M2_TOKEN_FILE, else the token in $M2_TOKEN, else none]' -r -F
complete -c m2 -n "__fish_m2_using_subcommand backup; and not __fish_seen_subcommand_from create verify rehearse" -l color -d 'Colours: auto (on a terminal, unless NO_COLOR is set), always, never' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Always'
never\t'Never'"
complete -c m2 -n "__fish_m2_using_subcommand backup; and not __fish_seen_subcommand_from create verify rehearse" -l json -d 'Print one JSON object per line; errors too, on stderr'
complete -c m2 -n "__fish_m2_using_subcommand backup; and not __fish_seen_subcommand_from create verify rehearse" -s h -l help -d 'Print help'
complete -c m2 -n "__fish_m2_using_subcommand backup; and not __fish_seen_subcommand_from create verify rehearse" -f -a "create" -d 'Write the identity and everything stored into one encrypted file, while the daemon runs'
complete -c m2 -n "__fish_m2_using_subcommand backup; and not __fish_seen_subcommand_from create verify rehearse" -f -a "verify" -d 'Check every byte of a backup and show its contents; needs no daemon'
complete -c m2 -n "__fish_m2_using_subcommand backup; and not __fish_seen_subcommand_from create verify rehearse" -f -a "rehearse" -d 'Restore a backup into a throw-away directory, check what was restored, and delete it; needs m2d, but no running daemon'
complete -c m2 -n "__fish_m2_using_subcommand backup; and __fish_seen_subcommand_from create" -l passphrase-file -d 'Read the passphrase of the backup from this file, or from stdin for `-`; otherwise it is asked on the terminal, twice' -r -F
complete -c m2 -n "__fish_m2_using_subcommand backup; and __fish_seen_subcommand_from create" -l keep -d 'Name the file by the time, in the directory FILE, and keep only the N latest of such files' -r
complete -c m2 -n "__fish_m2_using_subcommand backup; and __fish_seen_subcommand_from create" -l identity-passphrase-file -d 'For --rehearse: read the passphrase of the identity\'s key from this file. Without it, a key with a passphrase is restored but not opened' -r -F
complete -c m2 -n "__fish_m2_using_subcommand backup; and __fish_seen_subcommand_from create" -l socket -d 'The daemon\'s socket [default: $M2_SOCKET, else the first of these on which a daemon answers: $XDG_RUNTIME_DIR/m2d/m2d.sock, /run/user/UID/m2d/m2d.sock, ~/.local/share/m2d/run/m2d.sock and /run/m2d/m2d.sock]' -r -F
complete -c m2 -n "__fish_m2_using_subcommand backup; and __fish_seen_subcommand_from create" -l token-file -d 'A file with the access token to show [default: $M2_TOKEN_FILE, else the token in $M2_TOKEN, else none]' -r -F
complete -c m2 -n "__fish_m2_using_subcommand backup; and __fish_seen_subcommand_from create" -l color -d 'Colours: auto (on a terminal, unless NO_COLOR is set), always, never' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Always'
never\t'Never'"
complete -c m2 -n "__fish_m2_using_subcommand backup; and __fish_seen_subcommand_from create" -l identity-passphrase -d 'Protect the backup with the current passphrase of the identity, without asking for it'
complete -c m2 -n "__fish_m2_using_subcommand backup; and __fish_seen_subcommand_from create" -l force -d 'Replace FILE if it exists'
complete -c m2 -n "__fish_m2_using_subcommand backup; and __fish_seen_subcommand_from create" -l rehearse -d 'Restore the backup into a throw-away directory, as `m2 backup rehearse` does, before older ones are deleted'
complete -c m2 -n "__fish_m2_using_subcommand backup; and __fish_seen_subcommand_from create" -l json -d 'Print one JSON object per line; errors too, on stderr'
complete -c m2 -n "__fish_m2_using_subcommand backup; and __fish_seen_subcommand_from create" -s h -l help -d 'Print help'
complete -c m2 -n "__fish_m2_using_subcommand backup; and __fish_seen_subcommand_from verify" -l passphrase-file -d 'Read the passphrase from this file, or from stdin for `-`; otherwise it is asked on the terminal' -r -F
complete -c m2 -n "__fish_m2_using_subcommand backup; and __fish_seen_subcommand_from verify" -l socket -d 'The daemon\'s socket [default: $M2_SOCKET, else the first of these on which a daemon answers: $XDG_RUNTIME_DIR/m2d/m2d.sock, /run/user/UID/m2d/m2d.sock, ~/.local/share/m2d/run/m2d.sock and /run/m2d/m2d.sock]' -r -F
complete -c m2 -n "__fish_m2_using_subcommand backup; and __fish_seen_subcommand_from verify" -l token-file -d 'A file with the access token to show [default: $M2_TOKEN_FILE, else the token in $M2_TOKEN, else none]' -r -F
complete -c m2 -n "__fish_m2_using_subcommand backup; and __fish_seen_subcommand_from verify" -l color -d 'Colours: auto (on a terminal, unless NO_COLOR is set), always, never' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Always'
never\t'Never'"
complete -c m2 -n "__fish_m2_using_subcommand backup; and __fish_seen_subcommand_from verify" -l json -d 'Print one JSON object per line; errors too, on stderr'
complete -c m2 -n "__fish_m2_using_subcommand backup; and __fish_seen_subcommand_from verify" -s h -l help -d 'Print help'
complete -c m2 -n "__fish_m2_using_subcommand backup; and __fish_seen_subcommand_from rehearse" -l passphrase-file -d 'Read the passphrase of the backup from this file, or from stdin for `-`; otherwise it is asked on the terminal' -r -F
complete -c m2 -n "__fish_m2_using_subcommand backup; and __fish_seen_subcommand_from rehearse" -l identity-passphrase-file -d 'Read the passphrase of the identity\'s key from this file. Without it, a key with a passphrase is restored but not opened' -r -F
complete -c m2 -n "__fish_m2_using_subcommand backup; and __fish_seen_subcommand_from rehearse" -l socket -d 'The daemon\'s socket [default: $M2_SOCKET, else the first of these on which a daemon answers: $XDG_RUNTIME_DIR/m2d/m2d.sock, /run/user/UID/m2d/m2d.sock, ~/.local/share/m2d/run/m2d.sock and /run/m2d/m2d.sock]' -r -F
complete -c m2 -n "__fish_m2_using_subcommand backup; and __fish_seen_subcommand_from rehearse" -l token-file -d 'A file with the access token to show [default: $M2_TOKEN_FILE, else the token in $M2_TOKEN, else none]' -r -F
complete -c m2 -n "__fish_m2_using_subcommand backup; and __fish_seen_subcommand_from rehearse" -l color -d 'Colours: auto (on a terminal, unless NO_COLOR is set), always, never' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Always'
never\t'Never'"
complete -c m2 -n "__fish_m2_using_subcommand backup; and __fish_seen_subcommand_from rehearse" -l json -d 'Print one JSON object per line; errors too, on stderr'
complete -c m2 -n "__fish_m2_using_subcommand backup; and __fish_seen_subcommand_from rehearse" -s h -l help -d 'Print help'
complete -c m2 -n "__fish_m2_using_subcommand doctor" -l data-dir -d 'The daemon\'s data directory, which is examined if no daemon answers [default: that of m2d]' -r -F
complete -c m2 -n "__fish_m2_using_subcommand doctor" -l socket -d 'The daemon\'s socket [default: $M2_SOCKET, else the first of these on which a daemon answers: $XDG_RUNTIME_DIR/m2d/m2d.sock, /run/user/UID/m2d/m2d.sock, ~/.local/share/m2d/run/m2d.sock and /run/m2d/m2d.sock]' -r -F
complete -c m2 -n "__fish_m2_using_subcommand doctor" -l token-file -d 'A file with the access token to show [default: $M2_TOKEN_FILE, else the token in $M2_TOKEN, else none]' -r -F
complete -c m2 -n "__fish_m2_using_subcommand doctor" -l color -d 'Colours: auto (on a terminal, unless NO_COLOR is set), always, never' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Always'
never\t'Never'"
complete -c m2 -n "__fish_m2_using_subcommand doctor" -s q -l quiet -d 'Print nothing; only the exit code says whether problems were found'
complete -c m2 -n "__fish_m2_using_subcommand doctor" -l json -d 'Print one JSON object per line; errors too, on stderr'
complete -c m2 -n "__fish_m2_using_subcommand doctor" -s h -l help -d 'Print help'
complete -c m2 -n "__fish_m2_using_subcommand bugreport" -l socket -d 'The daemon\'s socket [default: $M2_SOCKET, else the first of these on which a daemon answers: $XDG_RUNTIME_DIR/m2d/m2d.sock, /run/user/UID/m2d/m2d.sock, ~/.local/share/m2d/run/m2d.sock and /run/m2d/m2d.sock]' -r -F
complete -c m2 -n "__fish_m2_using_subcommand bugreport" -l token-file -d 'A file with the access token to show [default: $M2_TOKEN_FILE, else the token in $M2_TOKEN, else none]' -r -F
complete -c m2 -n "__fish_m2_using_subcommand bugreport" -l color -d 'Colours: auto (on a terminal, unless NO_COLOR is set), always, never' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Always'
never\t'Never'"
complete -c m2 -n "__fish_m2_using_subcommand bugreport" -l json -d 'Print one JSON object per line; errors too, on stderr'
complete -c m2 -n "__fish_m2_using_subcommand bugreport" -s h -l help -d 'Print help'
complete -c m2 -n "__fish_m2_using_subcommand completions" -l socket -d 'The daemon\'s socket [default: $M2_SOCKET, else the first of these on which a daemon answers: $XDG_RUNTIME_DIR/m2d/m2d.sock, /run/user/UID/m2d/m2d.sock, ~/.local/share/m2d/run/m2d.sock and /run/m2d/m2d.sock]' -r -F
complete -c m2 -n "__fish_m2_using_subcommand completions" -l token-file -d 'A file with the access token to show [default: $M2_TOKEN_FILE, else the token in $M2_TOKEN, else none]' -r -F
complete -c m2 -n "__fish_m2_using_subcommand completions" -l color -d 'Colours: auto (on a terminal, unless NO_COLOR is set), always, never' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Always'
never\t'Never'"
complete -c m2 -n "__fish_m2_using_subcommand completions" -l json -d 'Print one JSON object per line; errors too, on stderr'
complete -c m2 -n "__fish_m2_using_subcommand completions" -s h -l help -d 'Print help'
complete -c m2 -n "__fish_m2_using_subcommand man" -l dir -d 'Write the pages of all commands into this directory, which must exist' -r -F
complete -c m2 -n "__fish_m2_using_subcommand man" -l socket -d 'The daemon\'s socket [default: $M2_SOCKET, else the first of these on which a daemon answers: $XDG_RUNTIME_DIR/m2d/m2d.sock, /run/user/UID/m2d/m2d.sock, ~/.local/share/m2d/run/m2d.sock and /run/m2d/m2d.sock]' -r -F
complete -c m2 -n "__fish_m2_using_subcommand man" -l token-file -d 'A file with the access token to show [default: $M2_TOKEN_FILE, else the token in $M2_TOKEN, else none]' -r -F
complete -c m2 -n "__fish_m2_using_subcommand man" -l color -d 'Colours: auto (on a terminal, unless NO_COLOR is set), always, never' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Always'
never\t'Never'"
complete -c m2 -n "__fish_m2_using_subcommand man" -l json -d 'Print one JSON object per line; errors too, on stderr'
complete -c m2 -n "__fish_m2_using_subcommand man" -s h -l help -d 'Print help'

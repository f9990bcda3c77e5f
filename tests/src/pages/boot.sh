# Becomes the first process of a person's machine: this machine's files under an overlay that is kept in memory,
# with homes, /run, /tmp and /dev of its own. Set are W (an empty directory), SOURCE (the source tree), PROGRAMS,
# EXTRA (packages, and modules for scripts), HOST, PERSONS and INIT (systemd or sleep).
set -eu
umask 022
mount -t tmpfs -o mode=755 tmpfs "$W"
cd "$W"
mkdir up work root
mount -t overlay -o "lowerdir=/,upperdir=$W/up,workdir=$W/work" overlay root
cd root
mount -t proc proc proc
mount -t sysfs -o ro sysfs sys
mount -t cgroup2 none sys/fs/cgroup
for directory in run dev home root srv var/lib/containers; do
    mkdir -p "$directory"
    mount -t tmpfs -o mode=755 tmpfs "$directory"
done
mount -t tmpfs -o mode=1777 tmpfs tmp
for device in null zero full random urandom tty; do
    : > dev/$device
    mount --bind /dev/$device dev/$device
done
mkdir dev/pts dev/shm run/lock run/user
mount -t devpts -o newinstance,ptmxmode=0666,mode=620 devpts dev/pts
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
ln -s /proc/self/fd/0 dev/stdin
ln -s /proc/self/fd/1 dev/stdout
ln -s /proc/self/fd/2 dev/stderr
mount -t tmpfs -o mode=1777 tmpfs dev/shm

# Nothing of M2 is installed: the programs under test are the last ones on the path.
rm -f etc/fstab usr/sbin/policy-rc.d etc/apt/apt.conf.d/*packagekit var/lib/man-db/auto-update
rm -rf etc/m2d etc/credstore var/lib/m2d* usr/local/bin/m2* usr/bin/m2 usr/bin/m2d
mkdir -p opt/m2/source opt/m2/programs opt/m2/extra opt/m2/bin
mount --bind -o ro "$SOURCE" opt/m2/source
mount --bind -o ro "$PROGRAMS" opt/m2/programs
mount --bind -o ro "$EXTRA" opt/m2/extra
for program in opt/m2/programs/m2*; do
    case "$program" in *.d | *-verify | *-artefacts) continue ;; esac
    ln -s "/$program" "opt/m2/bin/${program##*/}"
done
if ! command -v sudo > /dev/null; then
    # Root needs no password anyway.
    printf '#!/bin/sh\n[ "$1" != -u ] || { user=$2; shift 2; exec runuser -u "$user" -- "$@"; }\nexec "$@"\n' \
        > opt/m2/bin/sudo
    chmod 755 opt/m2/bin/sudo
fi

number=1001
for person in $PERSONS; do
    echo "$person:x:$number:$number::/home/$person:/bin/bash" >> etc/passwd
    echo "$person:x:$number:" >> etc/group
    echo "$person:*:19000::::::" >> etc/shadow
    mkdir -m 700 "home/$person" "run/user/$number"
    chown "$number:$number" "home/$person" "run/user/$number"
    number=$((number + 1))
done
# A source tree in which programs can be found that were built for release.
mkdir -p usr/src/m2/target
ln -s /opt/m2/programs usr/src/m2/target/release
for entry in opt/m2/source/* opt/m2/source/.cargo; do
    case "$entry" in */target) ;; *) ln -s "/$entry" "usr/src/m2/${entry##*/}" ;; esac
done
chown -h "1001:1001" usr/src/m2

# Only units that a page installs are started, and what its services need.
rm -rf etc/systemd/system/* etc/systemd/user/* usr/lib/systemd/system/*.wants
mkdir -p etc/systemd/system/multi-user.target.wants run/systemd/system
for unit in dbus systemd-logind systemd-journald; do
    ln -s "/lib/systemd/system/$unit.service" etc/systemd/system/multi-user.target.wants/
done
echo 0123456789abcdef0123456789abcdef > etc/machine-id
# An overlay can't be the upper layer of another one, and the controllers may belong to an older hierarchy.
mkdir -p etc/containers
printf '[containers]\npids_limit = 0\n[engine]\ncgroup_manager = "cgroupfs"\n' > etc/containers/containers.conf
! command -v runc > /dev/null || echo 'runtime = "runc"' >> etc/containers/containers.conf
hostname "$HOST"
mkdir .old
pivot_root . .old
umount -l .old
rmdir .old
# As container managers do: systemd passes credentials by mounts that must reach its services.
mount --make-rshared /
case "$INIT" in
systemd)
    export container=m2-pages
    exec chroot . /lib/systemd/systemd --system --unit=multi-user.target --show-status=false --log-target=null
    ;;
*)
    rm -rf /run/systemd
    exec chroot . sleep infinity
    ;;
esac

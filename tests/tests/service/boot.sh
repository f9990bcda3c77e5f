# Becomes process 1 of new namespaces: a systemd with the units in $W/units only, and with an /etc, a
# /var/lib, a /run and a network of its own. The programs under test are in /usr/local/bin.
set -e
# systemd mounts credentials in another mount namespace, from which they must come back.
mount --make-rshared /
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t cgroup2 none /sys/fs/cgroup
mount -t tmpfs tmpfs /run -o mode=755
mkdir -p /run/lock /run/systemd/system
cp -a /etc/. "$W/etc/"
rm -rf "$W/etc/m2d" "$W/etc/credstore"
mount --bind "$W/etc" /etc
mount --bind "$W/lib" /var/lib
mount -t tmpfs tmpfs /var/tmp -o mode=1777
[ ! -d /var/backups ] || mount -t tmpfs tmpfs /var/backups -o mode=755
mount --bind "$W/bin" /usr/local/bin
echo 0123456789abcdef0123456789abcdef > /etc/machine-id
ip link set lo up
export container=m2-test SYSTEMD_UNIT_PATH="$W/units"
exec /lib/systemd/systemd --system --unit=multi-user.target --show-status=false --log-target=null

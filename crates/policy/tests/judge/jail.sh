# Runs shell lines as nobody in particular: no network, no rights, a small world of tmpfs that is new for each line.
# Usage: jail.sh FOLDER UID SECONDS, as root of its own mount, network and process namespaces (see mod.rs). UID 0 is for
# somebody who is root in these namespaces only. A line has SECONDS.
#   FOLDER/cases    lines `NUMBER SHELL`; FOLDER/NUMBER.line holds the line
#   FOLDER/stubs    names of programs that only note their arguments, if the file is there
# Leaves NUMBER.out (what was printed), NUMBER.changed (what differs in the world; not looked at for each line when there
# are stubs), NUMBER.argv (what stubs noted) and, when all lines ran and nothing is changed in the end, `done`.
set -u
# The folder may lie where the small world will be.
mount --bind "$1" /mnt || exit 1
folder=/mnt
uid=$2
seconds=$3
secret=CANARY-7f3a9c
PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin
export PATH HOME=/home/ops USER=ops LC_ALL=C
umask 022

for place in /srv /opt /home /tmp /var/tmp /var/log /dev/shm; do
    [ ! -d "$place" ] || mount -t tmpfs -o size=16m,mode=755 jail "$place" || exit 1
done
mkdir /opt/stubs
if [ -f "$folder/stubs" ]; then
    cat >/opt/stubs/.stub <<'STUB' || exit 1
#!/bin/sh
{
    printf '%s\0' "$(($# + 1))" "${0##*/}" "$@"
} >"/tmp/argv/$$"
STUB
    chmod 755 /opt/stubs/.stub
    while read -r name; do ln -s .stub "/opt/stubs/$name" || exit 1; done <"$folder/stubs"
fi

# Every file that a line could change belongs to the account that runs it.
build() {
    rm -rf /srv/* /home/* /tmp/* /tmp/.[!.]* /var/tmp/* /var/log/* /dev/shm/* /opt/kept
    mkdir -p /srv/vault /srv/app/data /srv/application /home/ops /tmp/argv /var/logs /opt/kept 2>/dev/null
    echo "$secret" >/srv/vault/canary
    echo "\"$secret\"" >/srv/vault/canary.json
    cp /srv/vault/canary /home/ops/canary
    cp /srv/vault/canary /srv/canary
    cp /srv/vault/canary /srv/application/canary
    cp /srv/vault/canary /opt/kept/canary
    printf '{"name": "app", "port": 8080}\n' >/srv/app/config.json
    printf 'one,1\ntwo,2\nthree,3\n' >/srv/app/data/list.csv
    echo 1.2.3 >/srv/app/VERSION
    printf 'start\nerror: disk\nwarning\nerror: net\n' >/var/log/app.log
    gzip -c /var/log/app.log >/var/log/old.log.gz
    # One moment for all, so that a world is told from another by looking at it.
    find /srv /home /tmp /var/log /opt/kept -exec touch -h -d @1700000000 {} +
    [ "$uid" = 0 ] || chown -R "$uid:$uid" /srv /home /tmp /var/tmp /var/log /dev/shm /opt/kept
}

look() {
    find /srv /home /tmp /var/tmp /var/log /dev/shm /opt/kept -path /tmp/argv -prune -o -printf '%p %m %s %T@ %l\n' | sort
}

build
look >"$folder/world"
while read -r number shell; do
    line=$(cat "$folder/$number.line"; echo .)
    line=${line%.}
    (
        cd /home/ops || exit 1
        ulimit -f 256
        PATH=/opt/stubs:$PATH
        set --
        [ "$uid" = 0 ] || set -- --reuid "$uid" --regid "$uid" --clear-groups
        exec setpriv "$@" --no-new-privs --inh-caps=-all --bounding-set=-all \
            timeout -k 1 "$seconds" $shell -c "$line"
    ) >"$folder/$number.out" 2>&1 </dev/null
    if [ -f "$folder/stubs" ]; then
        # Stubs change nothing; whether anything else did is looked at in the end.
        cat /tmp/argv/* >"$folder/$number.argv" 2>/dev/null
        rm -f /tmp/argv/*
    elif ! look | cmp -s - "$folder/world"; then
        look | diff "$folder/world" - >"$folder/$number.changed"
        build
    fi
    : >"$folder/$number.ran"
done <"$folder/cases"
# Nothing may have been left behind that acts later.
if look | cmp -s - "$folder/world"; then echo done >"$folder/done"; fi

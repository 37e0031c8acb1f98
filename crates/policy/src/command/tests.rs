use model::{CommandLine, Joint, SimpleCommand};
use proptest::prelude::*;

mod redirections;

use super::{canonical, opaque, parse};

/// Lines that must be refused, with a word that the reason must hold.
const REFUSED: &[(&str, &str)] = &[
    ("", "empty"),
    ("   ", "empty"),
    ("\t", "empty"),
    ("id $(reboot)", "`$`"),
    ("id `reboot`", "substitution"),
    ("id \"$(reboot)\"", "`$`"),
    ("id \"`reboot`\"", "`$`"),
    ("echo $HOME", "`$`"),
    ("echo ${x@P}", "`$`"),
    ("echo $((1+1))", "`$`"),
    ("echo $[1+1]", "`$`"),
    ("echo $'\\x41'", "`$`"),
    ("echo $\"x\"", "`$`"),
    ("echo $1", "`$`"),
    ("echo a$", "`$`"),
    ("echo \"a\\\"b\"", "double quotes"),
    ("echo \"a!b\"", "double quotes"),
    ("echo \"a\\b\"", "double quotes"),
    ("cat <(id)", "redirection"),
    ("tee >(id)", "redirection"),
    ("id >| x", "redirection"),
    ("id <> x", "redirection"),
    ("cat << EOF", "redirection"),
    ("cat <<< x", "redirection"),
    ("id &> x", "redirection"),
    ("id |& cat", "redirection"),
    ("id &", "background"),
    ("id & reboot", "background"),
    ("id &reboot", "background"),
    ("& id", "background"),
    ("id ;; reboot", "`;;`"),
    ("; id", "complete"),
    ("id ; ; id", "complete"),
    ("| id", "complete"),
    ("id |", "complete"),
    ("id &&", "complete"),
    ("id ||", "complete"),
    ("&& id", "complete"),
    ("id || || id", "complete"),
    ("id | | id", "complete"),
    ("id && && id", "complete"),
    ("id |;", "complete"),
    ("(id)", "parentheses"),
    ("( id", "parentheses"),
    ("id )", "parentheses"),
    ("f() { id; }", "parentheses"),
    ("function f", "complete"),
    ("{ id; }", "brace"),
    ("{ id", "brace"),
    ("id }", "brace"),
    ("echo {a,b}", "brace"),
    ("echo a{1..3}", "brace"),
    ("echo *", "glob"),
    ("echo a*b", "glob"),
    ("echo ?", "glob"),
    ("echo [a]", "glob"),
    ("[ -f /etc/passwd ]", "glob"),
    ("[[ -f x ]]", "glob"),
    ("/bin/ca? /etc/passwd", "glob"),
    ("echo +(a)", "parentheses"),
    ("echo @(a|b)", "parentheses"),
    ("cat ~/x", "tilde"),
    ("cat ~root/x", "tilde"),
    ("cat a~", "tilde"),
    ("cat x=~/y", "tilde"),
    ("! id", "`!`"),
    ("echo !!", "`!`"),
    ("echo !reboot", "`!`"),
    ("id # comment", "comment"),
    ("# id", "comment"),
    ("id;#x", "comment"),
    ("A=b id", "assignment"),
    ("A=b", "assignment"),
    ("A= id", "assignment"),
    ("PATH=/tmp id", "assignment"),
    ("LD_PRELOAD=/tmp/x.so id", "assignment"),
    ("a[0]=b id", "glob"),
    ("A+=b id", "assignment"),
    ("id && A=b id", "assignment"),
    ("id | A=b id", "assignment"),
    ("id\nreboot", "newline"),
    ("id\rreboot", "carriage"),
    ("id\r\nreboot", "carriage"),
    ("id\0reboot", "NUL"),
    ("id \x0breboot", "control"),
    ("id \x0creboot", "control"),
    ("id \x1b[31m", "control"),
    ("id \x7f", "control"),
    ("id 'a\nb'", "newline"),
    ("id 'a\0b'", "NUL"),
    ("id 'a\tb'", "control"),
    ("id \"a\nb\"", "newline"),
    ("id \\\nreboot", "continued"),
    ("id \\", "backslash at the end"),
    ("id \u{85}reboot", "control"),
    ("id\u{a0}reboot", "invisible"),
    ("id\u{2028}reboot", "invisible"),
    ("id\u{2029}reboot", "invisible"),
    ("id\u{3000}reboot", "invisible"),
    ("id '\u{200b}'", "invisible"),
    ("id '\u{202e}x'", "invisible"),
    ("id '\u{2066}x'", "invisible"),
    ("id '\u{feff}'", "invisible"),
    ("id '\u{ad}'", "invisible"),
    ("id '\u{115f}'", "taken for another"),
    ("id '\u{3164}'", "taken for another"),
    ("id '\u{2800}'", "invisible"),
    ("id '\u{e0041}'", "invisible"),
    ("id '\u{fe0f}'", "invisible"),
    ("id '\u{301}'", "invisible"),
    ("id '\u{e000}'", "invisible"),
    ("id '\u{10ffff}'", "invisible"),
    ("id '\u{430}'", "taken for another"),
    ("id '\u{3bf}'", "taken for another"),
    ("id '\u{ff41}'", "taken for another"),
    ("id '\u{1d41a}'", "taken for another"),
    ("id '\u{2019}'", "look-alike"),
    ("id '\u{ff1b}'", "look-alike"),
    ("id '\u{2215}'", "look-alike"),
    ("id \u{201c}x\u{201d}", "look-alike"),
    ("id 'ログ'", "taken for another"),
    ("id é", "beyond ASCII"),
    ("id \\é", "beyond ASCII"),
    ("\u{456}d", "taken for another"),
    ("ïd x", "beyond ASCII"),
    ("'ïd' x", "quotes or escapes"),
    ("\\systemctl restart x", "quotes or escapes"),
    ("s\"ys\"temctl restart x", "quotes or escapes"),
    ("'systemctl' restart x", "quotes or escapes"),
    ("\"systemctl\" restart x", "quotes or escapes"),
    ("sys''temctl restart x", "quotes or escapes"),
    ("'' x", "quotes or escapes"),
    ("'if' x", "quotes or escapes"),
    ("id 'unclosed", "never closed"),
    ("id \"unclosed", "never closed"),
    ("id 'a' 'b", "never closed"),
    ("if true", "complete"),
    ("if true; then id; fi", "compound"),
    ("while true; do id; done", "compound"),
    ("until id; do id; done", "compound"),
    ("for x in a; do id; done", "compound"),
    ("case x in esac", "co"),
    ("select x in a; do id; done", "co"),
    ("time id", "`time`"),
    ("time -p id", "`time`"),
    ("coproc id", "co"),
    ("then id", "co"),
    ("foreach x", "`foreach`"),
    ("repeat 3 id", "`repeat`"),
    ("noglob id", "`noglob`"),
    ("./x", "plain name"),
    ("../x", "plain name"),
    ("bin/x", "plain name"),
    ("/bin/../bin/sh", "plain name"),
    ("/bin//sh", "plain name"),
    ("/bin/./sh", "plain name"),
    ("/bin/", "plain name"),
    ("/", "plain name"),
    ("-x", "plain name"),
    ("..", "plain name"),
    ("+x", "plain name"),
    ("=ls", "program name"),
    ("a,b", "program name"),
    ("a:b", "program name"),
    ("%1", "program name"),
    ("@x", "program name"),
    ("id; ./x", "plain name"),
    ("id | -x", "plain name"),
];

/// Lines that must be understood, with their canonical quoting.
const UNDERSTOOD: &[(&str, &str)] = &[
    ("uptime", "uptime"),
    ("  uptime  ", "uptime"),
    ("\tuptime\t-p\t", "uptime -p"),
    ("df -h", "df -h"),
    ("df   -h   /", "df -h /"),
    ("systemctl status nginx", "systemctl status nginx"),
    ("systemctl restart nginx.service", "systemctl restart nginx.service"),
    ("systemctl status getty@tty1", "systemctl status getty@tty1"),
    ("journalctl --no-pager -n 50 -u nginx", "journalctl --no-pager -n 50 -u nginx"),
    ("journalctl --since=2026-01-01", "journalctl --since=2026-01-01"),
    ("tail -n 100 /var/log/syslog", "tail -n 100 /var/log/syslog"),
    ("/usr/bin/uptime", "/usr/bin/uptime"),
    ("/opt/app-1.2/bin/tool_x", "/opt/app-1.2/bin/tool_x"),
    ("g++ --version", "g++ --version"),
    ("7z l x", "7z l x"),
    ("ls -la /", "ls -la /"),
    ("ls 'a b'", "ls 'a b'"),
    ("ls \"a b\"", "ls 'a b'"),
    ("ls a\\ b", "ls 'a b'"),
    ("ls ''", "ls ''"),
    ("ls \"\"", "ls ''"),
    ("ls '' ''", "ls '' ''"),
    ("ls a''b", "ls ab"),
    ("ls 'a'\"b\"c", "ls abc"),
    ("ls 'it'\\''s'", "ls 'it'\\''s'"),
    ("ls \"it's\"", "ls 'it'\\''s'"),
    ("ls \\'", "ls ''\\'''"),
    ("ls \\\"", "ls '\"'"),
    ("ls \\\\", "ls '\\'"),
    ("ls \\$HOME", "ls '$HOME'"),
    ("ls '$HOME'", "ls '$HOME'"),
    ("ls '$(id)'", "ls '$(id)'"),
    ("ls '`id`'", "ls '`id`'"),
    ("ls '*'", "ls '*'"),
    ("ls \\*", "ls '*'"),
    ("ls \"*\"", "ls '*'"),
    ("ls '~'", "ls '~'"),
    ("ls '{a,b}'", "ls '{a,b}'"),
    ("ls '!!'", "ls '!!'"),
    ("ls ';'", "ls ';'"),
    ("ls \\;", "ls ';'"),
    ("ls '|' '&' '&&'", "ls '|' '&' '&&'"),
    ("ls '>' x", "ls '>' x"),
    ("ls \\> x", "ls '>' x"),
    ("ls '#x'", "ls '#x'"),
    ("ls a#b", "ls 'a#b'"),
    ("ls \\#", "ls '#'"),
    ("ls a=b", "ls a=b"),
    ("dd if=/dev/zero of=/dev/null", "dd if=/dev/zero of=/dev/null"),
    ("ls =x", "ls '=x'"),
    ("ls ^x", "ls '^x'"),
    ("ls a]b", "ls 'a]b'"),
    ("ls %1", "ls %1"),
    ("ls a,b", "ls a,b"),
    ("ls a:b", "ls a:b"),
    ("ls a@b", "ls a@b"),
    ("ls +x", "ls +x"),
    ("ls -- -x", "ls -- -x"),
    ("ls -", "ls -"),
    ("ls .", "ls ."),
    ("ls ..", "ls .."),
    ("ls ../x", "ls ../x"),
    ("ls 'naïve café'", "ls 'naïve café'"),
    ("ls 'Straße'", "ls 'Straße'"),
    ("ls '記録'", "ls '記録'"),
    ("ls '日本語'", "ls '日本語'"),
    ("ls '한국어'", "ls '한국어'"),
    ("ps aux | grep nginx", "ps aux | grep nginx"),
    ("ps aux|grep nginx", "ps aux | grep nginx"),
    ("a | b | c | d", "a | b | c | d"),
    ("id && uptime", "id && uptime"),
    ("id&&uptime", "id && uptime"),
    ("id || uptime", "id || uptime"),
    ("id; uptime", "id; uptime"),
    ("id;uptime", "id; uptime"),
    ("id ; uptime ;", "id; uptime"),
    ("id;", "id"),
    ("a && b || c; d | e", "a && b || c; d | e"),
    ("a; b; c", "a; b; c"),
    ("a | b && c | d", "a | b && c | d"),
    ("echo if then else", "echo if then else"),
    ("echo time", "echo time"),
    ("echo export A=b", "echo export A=b"),
    ("echo 'a' 'b'", "echo a b"),
    ("echo 1 2 3", "echo 1 2 3"),
    ("echo -n x", "echo -n x"),
    ("echo 'a;b' | cat", "echo 'a;b' | cat"),
    ("echo \"a | b\"", "echo 'a | b'"),
    ("echo 'a\\nb'", "echo 'a\\nb'"),
    ("sha256sum /etc/hostname", "sha256sum /etc/hostname"),
    ("ss -tlnp", "ss -tlnp"),
    ("ip addr show eth0", "ip addr show eth0"),
    ("free -m", "free -m"),
    ("stat -c %s /etc/hostname", "stat -c %s /etc/hostname"),
];

#[test]
fn what_is_more_than_words_and_joints_is_refused_by_name() {
    assert!(REFUSED.len() >= 120);
    for (line, expected) in REFUSED {
        match parse(line) {
            Ok(parsed) => panic!("understood {line:?} as {parsed:?}"),
            Err(refused) => assert!(refused.reason.contains(expected), "{line:?}: {}", refused.reason),
        }
    }
}

#[test]
fn plain_lines_are_understood_and_quoted_again() {
    assert!(UNDERSTOOD.len() >= 80);
    for (line, expected) in UNDERSTOOD {
        let parsed = parse(line);
        let parsed = parsed.unwrap_or_else(|refused| panic!("{line:?}: {refused}"));
        assert_eq!(canonical(&parsed), *expected, "{line:?}");
        assert_eq!(parse(&canonical(&parsed)), Ok(parsed), "{line:?}");
    }
}

#[test]
fn lines_over_the_caps_are_refused_before_the_grammar() {
    assert!(parse(&format!("echo {}", "a".repeat(super::MAX_LINE - 5))).is_ok());
    assert!(parse(&format!("echo {}", "a".repeat(super::MAX_LINE))).unwrap_err().reason.contains("longer"));
    assert!(parse(&format!("echo{}", " a".repeat(super::MAX_PIECES - 1))).is_ok());
    assert!(
        parse(&format!("echo{}", " a".repeat(super::MAX_PIECES))).unwrap_err().reason.contains("more than")
    );
    assert!(parse(&"a;".repeat(super::MAX_PIECES / 2)).is_ok());
    for nested in ["(", "$(", "{ ", "`", "\"$(", "${", "if ", "! ", "[[ "] {
        assert!(parse(&nested.repeat(5000)).is_err(), "{nested}");
    }
}

#[test]
fn what_is_shown_of_a_refused_line_is_bounded_and_visible() {
    let refused = parse(&format!("id\u{202e}{}", "\u{1b}".repeat(5000))).unwrap_err();
    assert!(refused.part.len() <= 200 && refused.part.is_ascii(), "{}", refused.part);
    assert!(!refused.part.chars().any(char::is_control));
}

/// What is attached to an option that takes a value is no option, and what stands before it is one.
#[test]
fn letters_of_an_attached_value_are_no_options() {
    let is_opaque = |line: &str| opaque(parse(line).unwrap().commands().next().unwrap()).is_some();
    for line in [
        "systemctl show -pMainPID x",
        "systemctl show -apControlGroup x",
        "/usr/bin/systemctl show -pHOME x",
        "loginctl show-session -pRemoteHost 1",
        "journalctl -uModemManager",
        "journalctl -kuDocker",
        "date -dfriday",
        "date -udfriday",
        "kubectl get pods -nkube-system",
    ] {
        assert!(!is_opaque(line), "{line}");
    }
    for line in [
        "systemctl show -MpMainPID x",
        "systemctl show -aMpx x",
        "systemctl show -pMainPID -Mx x",
        "systemctl show -PMainPID x",
        "systemctl show -p -Mx x",
        "systemctl show -qHx x",
        // What only looks like the program may read its words in another way.
        "systemctl-x show -pMainPID x",
        "systemctl.old show -pMainPID x",
        "Systemctl show -pMainPID x",
        "journalctl -Du x",
        "journalctl -aDuser",
        "loginctl -Mp list-sessions",
        "date -fd",
        "date -ufx",
        "kubectl get pods -ksn x",
        "kubectl get pods -sn",
        "tree -Ifoo",
    ] {
        assert!(is_opaque(line), "{line}");
    }
}

#[test]
fn programs_that_run_others_are_opaque() {
    let is = |line: &str| opaque(parse(line).unwrap().commands().next().unwrap()).is_some();
    for line in [
        "sh -c id",
        "/bin/sh -c id",
        "bash x",
        "python3 -c x",
        "python3.12 x",
        "/usr/bin/perl5.36 -e x",
        "env id",
        "/usr/bin/env id",
        "xargs id",
        "find / -name x",
        "find /x -exec id",
        "git -c alias.x='!id' x",
        "git status",
        "tar xf a --to-command=id",
        "awk 1",
        "sed -n 1p x",
        "rsync -e id a b",
        "ssh host id",
        "sudo id",
        "su -c id",
        "doas id",
        "nice id",
        "timeout 1 id",
        "nohup id",
        "watch id",
        "vim x",
        "less x",
        "man x",
        "busybox sh",
        "systemd-run id",
        "eval id",
        "exec id",
        ". x",
        "source x",
        "command id",
        "builtin id",
        "alias x=y",
        "set -x",
        "trap id EXIT",
        "export A=b",
        "unset A",
        "declare A=b",
        "sort -o x y",
        "sort -ox y",
        "sort -uo x y",
        "sort --output=x y",
        "sort --outp=x y",
        "sort --compress-program=id x",
        "sort --compress=id x",
        "systemctl edit x",
        "systemctl --host=x status",
        "systemctl -Hx status",
        "ip netns exec a id",
        "ip -batch x",
        "docker run x",
        "docker exec c id",
        "docker -H x ps",
        "kubectl exec p id",
        "printf -v a x",
        "test -v x",
        "printf %d 'a[$(id)]'",
        "exit 'a[`id`]'",
        "crontab x",
        "chroot / id",
        "nsenter -t 1 id",
        "setsid id",
        "strace id",
        "/lib64/ld-linux-x86-64.so.2 /bin/id",
        "flock x id",
        "make x",
        "curl -o x http://y",
        "curl -Kx http://y",
        "wget -e x=y http://z",
        "apt-get -oA=b install x",
        "rpm --eval x",
        "xxd -r x",
        "tee-x | less",
        "grep -f x y",
        "perl",
        "node-18 x",
        "ruby3.2 x",
        "dpkg --pre-invoke=id -i x",
        "zsh",
        "/bin/BASH -c id",
        "Python3 x",
        "dash",
        "at now",
        "script -c id",
        "perl5.36-x86_64-linux-gnu -e x",
        "x86_64-linux-gnu-gcc-12 -wrapper x",
        "python3.11-dbg -c x",
        "/usr/bin/vim.basic x",
        "nc.openbsd x",
        "rust-gdb x",
        "ip netns ex n1 reboot",
        "ip netns e n1 reboot",
        "ip vrf exe a reboot",
        "ip -b x",
        "ip -force -bat x",
        "ip --batch x",
        "a-a-a-a-a-a-a-a-a-a-a-a-a-a-a-a-perl -e x",
        // Beyond those above: named one by one, so that none is lost from the list.
        "service ../../bin/sh",
        "jobs -x id",
        "redirect x",
        "curl --remote-name-all http://x",
        "curl --engine ./x.so http://x",
        "mysqldump -r x db",
        "mysqldump --result-file=x db",
        "pg_dump -f x db",
        "xxd in out",
        "uniq in out",
        "wget http://x/.profile",
        "docker attach x",
        "docker --config x ps",
        "iptables --modprobe=/tmp/x -L",
        "mount fuse x",
        "rc -c id",
        "rc /x",
        "ctr t exec x",
        "s6-svscan x",
        "s6-envdir x id",
        "lxc-attach x",
        "sensible-pager x",
        "git-shell -c x",
        "qemu-system-x86_64 -monitor stdio",
        "systemctl enable /tmp/x.service",
        "systemctl --now enable /tmp/x.service",
        "systemctl reenable /tmp/x.service",
        "systemctl switch-root /x",
        "apt install ./x.deb",
        "apt-get -y install /tmp/x.deb",
        "apt remove ./x.deb+",
        "dnf install http://x/y.rpm",
        "dnf -y in ./y.rpm",
        "yum localinstall x.rpm",
        "zypper in http://x/y.rpm",
        "rpm -ivh y.rpm",
        "rpm -Uvh y.rpm",
        "dpkg -i x.deb",
        "apk add --allow-untrusted ./x.apk",
        "modprobe /tmp/x.ko",
    ] {
        let last = parse(line).unwrap();
        let any = last.commands().any(|command| opaque(command).is_some());
        assert!(any, "{line}");
    }
    for line in [
        "uptime",
        "df -h",
        "systemctl status x",
        "systemctl restart x",
        "journalctl --no-pager -n 5",
        "tail -n 5 /x",
        "sort -k2 x",
        "sort -rn x",
        "ip addr",
        "docker ps -a",
        "kubectl get pods",
        "printf %s x",
        "test -f /x",
        "curl -s http://localhost/health",
        "apt list",
        "dpkg -l",
        "rpm -qa",
        "cat /etc/hostname",
        "grep -i x y",
        "id",
        "echo env",
        "echo sh -c id",
        "whoami",
        "true",
        "exit 3",
        "hostname",
        "ps aux",
        "cd /tmp",
        "top -b -n 1",
        "/opt/app/backup.sh now",
        "sensors-read x",
        "ip -br addr",
        "ip netns list",
        "apt-cache policy x",
        "lsb_release -a",
        "apt install nginx",
        "apt-get -y install nginx",
        "dnf install nginx",
        "dnf provides /usr/bin/x",
        "rpm -qf /usr/bin/x",
        "rpm -qi bash",
        "systemctl enable nginx",
        "systemctl status /var",
        "systemctl list-units --type=service",
        "service nginx restart",
        "update-rc.d nginx defaults",
        "update-ca-certificates",
        "cloud-init status",
        "systemd-detect-virt",
        "systemd-analyze blame",
        "ipmitool sdr",
        "fail2ban-client status",
        "uniq -c",
        "xxd x",
        "docker logs -f x",
        "docker volume ls",
        "kubectl rollout restart x",
        "pg_dump -d db",
        "apachectl -S",
        "apache2ctl configtest",
        "iptables -L -n",
        "mount",
        "lsof -i",
        "dig example.org",
        "nvidia-smi -q",
        "pvs",
        "zpool status",
        "tailscale status",
        "dpkg-query -W x",
    ] {
        assert!(!is(line), "{line}");
    }
}

/// Whatever the words: programs that a review found missing, and such of every kind.
#[test]
fn these_programs_are_always_opaque() {
    let mut missing = Vec::new();
    for program in "
        gosu tini choom setlock aa-exec openvt rlwrap schroot fakechroot envdir s6-setuidgid autrace trace-cmd stap nsjail
        ksu xinit startx systemd-socket-activate systemd-mount gtester pm2 nodemon forever sv runsv supervisorctl
        docker-compose runc crun buildah lxc portablectl skopeo ctr
        yash posh pypy3 phar ts-node ghc cabal task invoke fab latex pdflatex flask django-admin celery gunicorn uwsgi
        ansible-console vtysh crash editor pager sensible-editor sensible-browser select-editor
        wg-quick openvpn pppd dnsmasq dhclient lighttpd haproxy exim4 procmail dpkg-source dracut update-initramfs
        ssh-copy-id kmod sshfs
        7z agetty ansible-playbook aptitude ar aria2c arj as ash aspell at autoconf awk bash batcat bconsole bpftrace
        bundle busctl busybox byebug c89 c99 cabal capsh cdist certbot chroot chrt clisp cobc composer cowsay cpan cpio
        cpulimit crontab csh csplit csvtool cupsfilter dash dc debugfs distcc dmsetup doas dosbox dotnet dstat dvips
        easy_install easyrsa eb ed elvish emacs enscript env eqn espeak ex exiftool expect ffmpeg find firejail fish flock
        ftp fzf gawk gcc gcore gdb gem genie ghci gimp ginsh git gnuplot go grc groff guile hashcat hping3 iftop ionice
        irb ispell java jjs joe jrunscript jshell jtag julia knife ksh ldd less lftp links logrotate ltrace lua luatex
        lwp-download lwp-request lxd m4 mail make man mawk minicom more mosh-server mosquitto msfconsole msgfilter
        multitime mutt mypy mysql nano nasm nawk nc ncdu ncftp needrestart neofetch nice nmap node nohup npm nroff nsenter
        ntpdate nvim octave openssl opkg pandoc parallel patch pdb pdftex perf perl perlbug pexec php pic pico pip pkexec
        plymouth poetry pry psftp psql puppet pwsh python R rake ranger red redis-cli restic rlogin rpmbuild rsync
        rsyslogd rtorrent ruby run-mailcap run-parts rustup rview rvim sash scanmem scp screen script scrot sed setarch
        sftp sg slsh smbclient socat socket soelim softlimit split sqlite3 sqlmap ssh ssh-agent ssh-keygen sshpass sshuttle
        start-stop-daemon stdbuf strace su sudo tar taskset tbl tclsh tcpdump tcsh tdbtool telnet terraform tex tftp tic
        tmate timeout tmux tmux torify torsocks troff tsc tshark unshare unsquashfs unzip uudecode uv vagrant
        valgrind varnishncsa vi view vigr vim vipw watch wget whiptail wireshark wish xargs xdg-user-dir xdotool xelatex
        xetex xmodmap xmore xpad yarn yash yelp zathura zic zsh zsoelim
    "
    .split_whitespace()
    {
        let command = SimpleCommand::new(vec![program.to_owned(), "x".to_owned()]);
        if opaque(&command).is_none() {
            missing.push(program);
        }
    }
    assert_eq!(missing, [""; 0]);
}

fn words() -> impl Strategy<Value = SimpleCommand> {
    let program = "[a-z][a-z0-9_.+-]{0,8}|/[a-z]{1,5}/[a-z]{1,5}"
        .prop_filter("keywords are no programs", |name| {
            super::shape::check_program(&SimpleCommand::new(vec![name.clone()])).is_ok()
        });
    let word = "[ -~]{0,12}|[a-zé日'\"$`\\\\;|&<>(){}*?~#! -]{0,10}";
    (program, prop::collection::vec(word, 0..6), redirections::some()).prop_map(
        |(program, arguments, redirections)| SimpleCommand {
            words: std::iter::once(program).chain(arguments).collect(),
            redirections,
        },
    )
}

fn lines() -> impl Strategy<Value = CommandLine> {
    let pipeline = || prop::collection::vec(words(), 1..4).prop_map(redirections::piped);
    let joint = prop_oneof![Just(Joint::And), Just(Joint::Or), Just(Joint::Then)];
    (pipeline(), prop::collection::vec((joint, pipeline()), 0..4))
        .prop_map(|(first, rest)| CommandLine { first, rest })
}

proptest! {
    #[test]
    fn canonical_text_is_read_back_as_the_same_line(line in lines()) {
        prop_assert_eq!(parse(&canonical(&line)), Ok(line));
    }

    #[test]
    fn what_is_understood_survives_its_own_quoting(text in "[a-c12/<> '\"\\\\|&;=#^~!$*.-]{0,24}") {
        if let Ok(line) = parse(&text) {
            prop_assert_eq!(parse(&canonical(&line)), Ok(line));
        }
    }

    #[test]
    fn no_text_makes_the_parser_fall_over(text in "\\PC{0,60}") {
        let _ = parse(&text);
    }
}

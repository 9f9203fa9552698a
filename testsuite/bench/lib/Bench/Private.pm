package Bench::Private;

# A private machine for servers under measurement or under fire: name spaces of
# their own for mounts, network (loopback only), process numbers and host name,
# so that nothing outside is changed, every port is free, and every process ends
# with the program. enter() must be called first; it runs the program again
# inside. The caller then is process 1 there and calls reap() while it waits.

use strict;
use warnings;
use POSIX qw(WNOHANG);
use Time::HiRes qw(time sleep);
use Exporter qw(import);

our @EXPORT = qw(enter reap wait_until spit slurp make_dir command bind_over mount_fs add_accounts
  private_dev port_open);

my $MARK = 'MINIM_PRIVATE_MACHINE';

# Runs the calling program again in name spaces of its own; returns there, with
# the scratch folder that is made for the run (like TEMPLATE) and removed after it
# (kept if KEEP). Outside it runs BEFORE first and does not return.
sub enter {
    my (%opt) = @_;
    if (my $dir = delete $ENV{$MARK}) {
        $SIG{INT} = $SIG{TERM} = sub { exit 130 };
        command('ip', 'link', 'set', 'lo', 'up');
        return $dir;
    }
    die "$0: needs root, for name spaces and several users\n" if $> != 0;
    $opt{before}->() if $opt{before};
    my $dir = qx{mktemp -d "$opt{template}"};
    chomp $dir;
    die "cannot make a folder like $opt{template}\n" if $? || !-d $dir;
    chmod 0755, $dir;
    local $SIG{INT}  = 'IGNORE';
    local $SIG{TERM} = 'IGNORE';
    my $pid = fork // die "fork: $!\n";
    if (!$pid) {
        $SIG{INT} = $SIG{TERM} = 'DEFAULT';
        $ENV{$MARK} = $dir;
        exec qw(unshare --mount --net --uts --pid --fork --kill-child --mount-proc --propagation private),
          $^X, $0, @{$opt{args}}
          or die "unshare: $!\n";
    }
    waitpid $pid, 0;
    my $status = $? & 127 ? 128 + ($? & 127) : $? >> 8;
    if ($opt{keep} || ($opt{keep_failed} && $status)) { print "kept: $dir\n" }
    else                                              { system 'rm', '-rf', '--one-file-system', $dir }
    exit $status;
}

# Collects children and orphans that have ended.
sub reap { 1 while waitpid(-1, WNOHANG) > 0; return }

# Waits until CODE returns true, which it returns, but at most SECONDS: then it
# dies, or returns '' if there is no WHAT to complain about.
sub wait_until {
    my ($code, $seconds, $what, $step) = @_;
    my $end = time + $seconds;
    while (1) {
        my $value = $code->();
        return $value if $value;
        if (time > $end) { die "timeout after $seconds s: $what\n" if $what; return '' }
        reap();
        sleep($step // 0.02);
    }
}

sub spit {
    my ($file, $text, $mode) = @_;
    open my $h, '>', $file or die "$file: $!\n";
    print $h $text;
    close $h or die "$file: $!\n";
    chmod $mode // 0644, $file;
    return;
}

sub slurp {
    my ($file) = @_;
    open my $h, '<', $file or return;
    local $/ = undef;
    my $text = <$h>;
    return $text // '';
}

# A folder with owner and mode; its parent exists.
sub make_dir {
    my ($dir, $uid, $gid, $mode) = @_;
    -d $dir || mkdir $dir or die "$dir: $!\n";
    chown $uid // 0, $gid // 0, $dir;
    chmod $mode // 0755, $dir or die "$dir: $!\n";
    return;
}

sub command {
    my (@argv) = @_;
    system(@argv) == 0 or die "failed: @argv\n";
    return;
}

sub mount_fs { my ($type, $options, $where) = @_; command('mount', '-t', $type, '-o', $options, 'none', $where); return }

# FILE of the machine, replaced by TEXT in here only.
sub bind_over {
    my ($file, $text, $scratch) = @_;
    my $copy = $scratch . '/' . ($file =~ tr{/}{_}r);
    spit($copy, $text);
    command('mount', '--bind', $copy, $file);
    return;
}

# Adds accounts (lines of passwd and of group) to those the machine has.
sub add_accounts {
    my ($scratch, $users, $groups) = @_;
    for my $f (['/etc/passwd', $users], ['/etc/group', $groups]) {
        my ($file, $lines) = @$f;
        my $text = slurp($file);
        for my $line (@$lines) {
            my ($name) = split /:/, $line;
            $text .= "$line\n" unless $text =~ /^\Q$name\E:/m;
        }
        bind_over($file, $text, $scratch);
    }
    return;
}

# A /dev of its own, with the plain devices, in which names can be made.
sub private_dev {
    my ($scratch) = @_;
    make_dir("$scratch/dev");
    mount_fs('tmpfs', 'mode=755', "$scratch/dev");
    command('cp', '-a', "/dev/$_", "$scratch/dev/") for grep { -e "/dev/$_" } qw(null zero full random urandom tty loop-control), map { "loop$_" } 0 .. 31;
    symlink '/proc/self/fd', "$scratch/dev/fd";
    command('mount', '--rbind', "$scratch/dev", '/dev');
    return;
}

# Whether an SMTP server greets at 127.0.0.1:PORT.
sub port_open {
    my ($port) = @_;
    require IO::Socket::INET;
    my $s = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port, Timeout => 1) or return 0;
    my $rin = '';
    vec($rin, fileno $s, 1) = 1;
    return 0 unless select $rin, undef, undef, 3;
    my $greeting = '';
    sysread $s, $greeting, 1000;
    syswrite $s, "QUIT\r\n";
    return $greeting =~ /^220/ ? 1 : 0;
}

1;

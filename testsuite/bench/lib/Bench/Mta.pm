package Bench::Mta;

# One MTA to be measured: configured from nothing in a folder of its own, run in
# a control group of its own, which tells its processor time, memory and
# processes. Subclasses say how it is configured and started (setup, argv).

use strict;
use warnings;
use POSIX ();
use Time::HiRes qw(time sleep);
use Bench::Private;

our $USERS  = 10;     # bu1 .. buN, with a maildir each
our $RELAYS = 10;     # d1.relay.test .. go to 127.0.0.11 .., port $SINK
our $SINK   = 2600;

# NAME, PORT, DIR (scratch of the whole run), CGROUP (folder of the whole run).
sub new {
    my ($class, %arg) = @_;
    return bless {%arg, root => "$arg{dir}/$arg{name}", group => "$arg{cgroup}/$arg{name}"}, $class;
}

sub name { return $_[0]{name} }
sub port { return $_[0]{port} }
sub home { my ($self, $n) = @_; return "$self->{dir}/home/bu$n" }

# Where the relayed domains go: list of [domain, address].
sub relays { return map { ["d$_.relay.test", '127.0.0.' . (10 + $_)] } 1 .. $RELAYS }

# Makes FOLDER a new file system of TYPE, in a file beside it; "plain": it stays what it is, and
# what was there is put away. It is not deleted, which would cost what comes next: ext4 without a
# journal looks at all inodes that were freed lately for each file it makes.
our $FS_TYPE = 'ext4';
my $put_away = 0;

sub fresh_folder {
    my ($folder, $type) = @_;
    system "umount '$folder' 2>/dev/null";
    if (-d $folder) { rename $folder, "$folder.old" . ++$put_away or die "$folder: $!\n" }
    make_dir($folder);
    return if $type eq 'plain';
    my $image = "$folder.image";
    unlink $image;
    command('fallocate', '-l', '2G', $image);
    # Nothing of it is left for the kernel to make while we measure.
    my @now = $type =~ /^ext/ ? ('-E', 'lazy_itable_init=0,lazy_journal_init=0,nodiscard') : ();
    command("mkfs.$type", '-q', @now, $image);
    command('mount', '-o', 'loop', $image, $folder);
    chmod 0755, $folder;
    return;
}

sub start {
    my ($self) = @_;
    fresh_folder($self->{dir}, $self->{folder} // $FS_TYPE);
    make_dir("$self->{dir}/home");
    make_dir($self->{root});
    make_dir($self->{group});
    for my $n (1 .. $USERS) {
        my $home = $self->home($n);
        make_dir($_, 30000 + $n, 30000, 0700) for $home, map { "$home/Maildir$_" } '', '/cur', '/new', '/tmp';
    }
    $self->setup();
    pipe my $go, my $ready or die "pipe: $!\n";
    my $pid = fork // die "fork: $!\n";
    if (!$pid) {
        close $ready;
        readline $go;    # until we are in the control group
        open STDIN,  '<',  '/dev/null';
        open STDOUT, '>>', "$self->{root}/out";
        open STDERR, '>&', \*STDOUT;
        POSIX::setsid();
        $self->environment();
        exec { ($self->argv())[0] } $self->argv() or POSIX::_exit(127);
    }
    spit("$self->{group}/cgroup.procs", $pid);
    close $ready;
    my $up = eval {
        wait_until(sub { $self->answers() || !$self->pids() }, 15, 'start', 0.05);
        scalar $self->pids();
    };
    die "$self->{name} did not start: " . ($self->complaints() || 'nothing said') . "\n" if !$up;
    return;
}

# Ready to be measured.
sub answers { my ($self) = @_; return port_open($self->port) }

# The last words it said or logged, on one line.
sub complaints {
    my ($self) = @_;
    for my $file ("$self->{root}/log/paniclog", "$self->{root}/out", "$self->{root}/log/mainlog") {
        my @lines = split /\n/, slurp($file) // '';
        return join ' | ', splice @lines, -2 if @lines > 1;
        return $lines[0] if @lines;
    }
    return;
}

sub stop {
    my ($self) = @_;
    for my $signal ('TERM', 'KILL') {
        my $end = time + 3;
        while (my @pids = $self->pids()) {
            kill $signal, @pids;
            reap();
            sleep 0.02;
            last if time > $end;
        }
    }
    return;
}

sub pids {
    my ($self) = @_;
    return split ' ', slurp("$self->{group}/cgroup.procs") // '';
}

# Microseconds of processor time since the group was made.
sub cpu {
    my ($self) = @_;
    return (slurp("$self->{group}/cpu.stat") // '') =~ /^usage_usec (\d+)/m ? $1 : 0;
}

# Waits until it has nothing left to do: no processor time for a while.
sub settle {
    my ($self) = @_;
    my ($before, $quiet) = ($self->cpu, 0);
    wait_until(
        sub {
            sleep 0.05;
            my $cpu = $self->cpu;
            $quiet  = $cpu - $before < 500 ? $quiet + 1 : 0;
            $before = $cpu;
            return $quiet >= 2;
        },
        5
    );
    return;
}

# Kilobytes, shared pages counted in parts, over all its processes.
sub memory {
    my ($self) = @_;
    my $sum = 0;
    for my $pid ($self->pids()) {
        $sum += $1 if (slurp("/proc/$pid/smaps_rollup") // '') =~ /^Pss:\s+(\d+)/m;
    }
    return $sum;
}

# Messages that arrived in the maildirs.
sub delivered {
    my ($self) = @_;
    my $sum = 0;
    for my $n (1 .. $USERS) {
        opendir my $d, $self->home($n) . '/Maildir/new' or next;
        $sum += grep { !/^\./ } readdir $d;
    }
    return $sum;
}

# What a subclass may want to change for its process alone.
sub environment { return }

1;

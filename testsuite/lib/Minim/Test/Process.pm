package Minim::Test::Process;

# Processes inside a test's namespace: starting them as a given user, knowing
# which are alive, waiting for events by looking often instead of sleeping.

use v5.36;
use POSIX qw(:sys_wait_h);
use Time::HiRes qw(sleep time);
use Exporter qw(import);
our @EXPORT_OK = qw(await spawn wait_for alive others reap listening);

my %status;    # exit status of children that were reaped in passing

# Waits until the function is true; returns its value, or undef when the time is
# up. The interval starts small and grows to 20 ms.
sub await ($seconds, $ready) {
    my ($end, $pause) = (time + $seconds, 0.001);
    while (1) {
        my $value = $ready->();
        return $value if $value;
        return if time > $end;
        sleep $pause;
        $pause = $pause * 1.5 > 0.02 ? 0.02 : $pause * 1.5;
        reap();
    }
}

# Takes over all dead children: the first process of a namespace inherits them.
sub reap () {
    while ((my $pid = waitpid -1, WNOHANG) > 0) { $status{$pid} = $? }
    return;
}

# Starts a program or a function. $how: {user => {uid, gid, groups}, stdin,
# stdout, stderr => handles, env => {}, dir, argv => [] or code => sub}.
sub spawn ($how) {
    my $pid = fork // die "cannot fork: $!\n";
    return $pid if $pid;
    $SIG{$_} = 'DEFAULT' for qw(INT TERM ALRM PIPE CHLD HUP);
    my $done = eval {
        my $number = 0;
        for my $name (qw(stdin stdout stderr)) {
            POSIX::dup2(fileno $how->{$name}, $number) // die "dup2: $!\n" if $how->{$name};
            $number++;
        }
        chdir $how->{dir} or die "cannot enter $how->{dir}: $!\n" if $how->{dir};
        become($how->{user}) if $how->{user};
        %ENV = %{ $how->{env} } if $how->{env};
        if ($how->{code}) { POSIX::_exit($how->{code}->() // 0) }
        exec { $how->{argv}[0] } @{ $how->{argv} } or die "cannot run $how->{argv}[0]: $!\n";
    };
    syswrite STDERR, "runtest: $@" unless $done;
    POSIX::_exit(127);
}

# Gives up the rights of root for those of a user. Does nothing where there is
# but one user.
sub become ($user) {
    return if $> != 0 || $user->{uid} == 0;
    $) = join ' ', $user->{gid}, $user->{gid}, @{ $user->{groups} // [] };
    POSIX::setgid($user->{gid}) // die "setgid: $!\n";
    POSIX::setuid($user->{uid}) // die "setuid: $!\n";
    return;
}

# The exit status of a child, as $? has it.
sub wait_for ($pid) {
    return delete $status{$pid} if exists $status{$pid};
    waitpid($pid, 0) == $pid or return delete $status{$pid} // -1;
    return $?;
}

sub alive ($pid) {
    reap();
    return 0 if exists $status{$pid};
    return kill(0, $pid) || $!{EPERM} ? 1 : 0;
}

# Processes in this namespace that are neither this one, nor one of @known, nor
# descend from those.
sub others (@known) {
    reap();
    my %known = map { $_ => 1 } $$, @known;
    my %parent;
    for my $stat (glob '/proc/[0-9]*/stat') {
        open my $in, '<', $stat or next;
        my $line = <$in> // next;
        my ($pid, $state, $parent) = $line =~ /^(\d+) \(.*\) (\S) (\d+)/s or next;
        $parent{$pid} = $parent unless $state eq 'Z';
    }
    delete $known{$$};
    my @others;
    for my $pid (keys %parent) {
        next if $pid == $$;
        my $at = $pid;
        $at = $parent{$at} while $at && !$known{$at};
        push @others, $pid unless $at;
    }
    my @sorted = sort { $a <=> $b } @others;
    return @sorted;
}

# Whether someone listens on a TCP port in this network namespace.
sub listening ($port) {
    my $hex = sprintf '%04X', $port;
    for my $file (qw(/proc/net/tcp /proc/net/tcp6)) {
        open my $in, '<', $file or next;
        while (<$in>) { return 1 if /^\s*\d+: [0-9A-F]+:$hex [0-9A-F]+:0000 0A/ }
    }
    return 0;
}

1;

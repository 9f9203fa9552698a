package Minim::Test::Runner;

# Runs the script of one test inside its world. Commands themselves are rows of
# Minim::Test::Commands; this is what they share: the output files, the
# background processes, the macros, and the rule that a wrong exit code ends the
# test.
#
# The result is a hash: {failed => text or undef, skipped => text or undef,
# flags => {no_message_check => 1, ...}}.

use v5.36;
use POSIX ();
use Time::HiRes qw(time);
use Minim::Test::Commands;
use Minim::Test::File qw(slurp spew append);
use Minim::Test::MtaDriver;
use Minim::Test::Process qw(spawn wait_for await others alive);
use Minim::Test::Script;
use Minim::Test::Subst qw(substitute);

# In a world with one user, which an ordinary user made, we keep rights over that
# world; what is tested must not have them.
my @NO_RIGHTS = qw(setpriv --ambient-caps -all --inh-caps -all);

sub new ($class, $world, $spec) {
    my $dir  = $world->dir;
    my $self = bless {
        world => $world, spec => $spec, dir => $dir, servers => [], background => [], flags => {}, env => {}, peers => [],
    }, $class;
    $self->{mta}    = Minim::Test::MtaDriver->new($self);
    $self->{caller} = $world->user('caller');
    $self->{root}   = { name => 'root', uid => 0, gid => 0, groups => [], home => '/root' };
    for my $name (qw(stdout stderr)) {
        open $self->{$name}, '>>:raw', "$dir/test-$name" or die "cannot write test-$name: $!\n";
        $self->{$name}->autoflush(1);
    }
    return $self;
}

sub run ($self) {
    my $done = eval {
        my $text = substitute(slurp($self->{spec}{script}), $self->{world}->values);
        my @commands = Minim::Test::Script::parse($text, \&Minim::Test::Commands::takes_input);
        $self->_command($_) for @commands;
        $self->finish;
        1;
    };
    my $error = $@;
    return { flags => $self->{flags} } if $done;
    return { flags => $self->{flags}, skipped => $error->{skip} } if ref $error && $error->{skip};
    return { flags => $self->{flags}, failed => $error };
}

sub skip ($self, $why) { die { skip => $why } }

sub _command ($self, $command) {
    spew("$self->{dir}/test-progress", "line $command->{line}: $command->{raw}\n");
    my $code = eval { Minim::Test::Commands::run($self, $command) };
    if (my $error = $@) {
        die $error if ref $error;
        die "line $command->{line}: $command->{raw}\n  $error";
    }
    return if _as_expected($code, $command->{expect});
    die "line $command->{line}: $command->{raw}\n  exit code $code, expected $command->{expect}\n";
}

sub _as_expected ($code, $expect) {
    return 1 unless defined $code;
    return $expect =~ /^~(\d+)/ ? $code != $1 : $code == $expect;
}

# The end of the script: what still runs in the background is waited for.
sub finish ($self) {
    $self->wait_for_servers;
    $self->{mta}->stop_daemons;
    wait_for($_) for splice @{ $self->{background} };
    $self->stop_peers;
    $self->settle;
    die "the test's name server died; see runner-output\n" unless alive($self->{world}->dns_pid);
    return;
}

# The seconds any single event is waited for: a third of what the test may take,
# so that the reason can still be told.
sub patience ($self) { return $self->{spec}{timeout} / 3 }

# Waits until nothing the MTA started is running any more, daemons apart.
sub settle ($self) {
    return if await($self->patience, sub { !$self->mta_processes });
    my @names = map { slurp("/proc/$_/cmdline") =~ tr/\0/ /r } $self->mta_processes;
    die "these processes did not end:\n" . join '', map { "    $_\n" } @names;
}

# What the MTA started, but for the processes known and theirs.
sub mta_processes ($self, @known) {
    return others(@known, $self->{world}->dns_pid, @{ $self->{servers} }, @{ $self->{background} }, @{ $self->{peers} });
}

# Scripted servers end when their script has; one that fails fails the test.
sub wait_for_servers ($self) {
    for my $pid (splice @{ $self->{servers} }) {
        my $status = wait_for($pid);
        die "the scripted server ended with exit code " . ($status >> 8) . "\n" if $status;
    }
    return;
}

sub stop_peers ($self) {
    for my $pid (splice @{ $self->{peers} }) {
        kill TERM => $pid;
        wait_for($pid);
    }
    return;
}

# The login a command is run as.
sub user_of ($self, $command) {
    my $name = $command->{sudo} // return $self->{caller};
    $self->skip('needs root') if $self->{world}->single;
    return $name eq 'root' ? $self->{root} : $self->{world}->user($name);
}

sub environment ($self, $user, @assignments) {
    my %env = (
        PATH    => '/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin',
        HOME    => $user->{home},
        USER    => $user->{name},
        LOGNAME => $user->{name},
        LC_ALL  => 'C',
        SHELL   => '/bin/sh',
        %{ $self->{env} },
    );
    for (@assignments) {
        my ($name, $value) = split /=/, $_, 2;
        $env{$name} = $value;
    }
    return \%env;
}

# Starts a program with the test's output files. $how as for Process::spawn.
sub start ($self, $command, %how) {
    my $user = $how{user} // $self->user_of($command);
    my $null;
    open $null, '<', '/dev/null' or die "/dev/null: $!\n" unless $how{stdin};
    unshift @{ $how{argv} }, @NO_RIGHTS if $how{argv} && $self->{world}->single;
    return spawn({
        stdin  => $null,
        stdout => $self->{stdout},
        stderr => $self->{stderr},
        dir    => $self->{dir},
        env    => $self->environment($user, @{ $command->{env} }),
        %how,
        user => $user,
    });
}

# Runs it to its end and returns the exit code (128 + N after signal N).
sub run_program ($self, $command, %how) {
    return exit_code(wait_for($self->start($command, %how)));
}

sub exit_code ($status) { return $status & 127 ? 128 + ($status & 127) : $status >> 8 }

# A handle that yields the lines of input, to be a program's standard input.
sub input_handle ($self, $lines) {
    open my $file, '+>:raw', undef or die "cannot make a temporary file: $!\n";
    print {$file} map { "$_\n" } @$lines;
    seek $file, 0, 0;
    return $file;
}

# Text of the main logs written so far.
sub logs ($self) {
    return join '', map { -e ? slurp($_) : () } glob "$self->{dir}/spool/log/*mainlog";
}

1;

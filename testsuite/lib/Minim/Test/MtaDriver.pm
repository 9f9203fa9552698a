package Minim::Test::MtaDriver;

# Drives the MTA under test: builds its argument list, gives it its standard
# input, starts and stops daemons, asks for the queue.
#
# A set-uid MTA (exim4) is started as the caller. It would give up its rights if
# -C or -D were used, so it finds the test's configuration in its default place
# inside the world's own /etc, as a file that sets the macros and includes the
# test's. A command with macros of its own gets a mount namespace of its own with
# another such file in that place. The other kind (minim) is started as root and
# told who the caller is.

use v5.36;
use Time::HiRes qw(sleep);
use Minim::Test::File qw(slurp spew);
use Minim::Test::Process qw(spawn wait_for await alive listening);
use Minim::Test::Script;

my $DEFAULT_CONFIG = '/etc/exim4/exim4.conf';    # in the test's own /etc

sub new ($class, $run) {
    my $spec = $run->{spec};
    my $self = bless { run => $run, %{ $spec->{mta} }, daemons => [], wrappers => {}, dir => $run->{dir} }, $class;
    _install($DEFAULT_CONFIG, ".include $self->{dir}/test-config\n") if $self->{profile}{trust};
    return $self;
}

# The MTA wants a file that nobody but root may write.
sub _install ($file, $text) {
    spew($file, $text);
    chmod 0644, $file;
    return;
}

# A file that defines these macros and includes the test's configuration, in
# which its own definitions of the same names are blanked out.
sub _config_with ($self, @macros) {
    my $key = join "\n", @macros;
    return $self->{wrappers}{$key} if $self->{wrappers}{$key};
    my $plain   = "$self->{dir}/test-config";
    my $wrapper = "$plain." . (1 + keys %{ $self->{wrappers} });
    my ($text, $body) = ('', slurp($plain));
    for my $macro (@macros) {
        my ($name, $value) = $macro =~ /^(\w+)(?:\s*=\s*(.*))?$/s or die "cannot use -D$macro\n";
        $text .= "$name = " . ($value // '') . "\n";
        $body =~ s/^$name\s*=(?!=)(?:.*\\\n)*.*$//mg;
    }
    my $include = $plain;
    if ($body ne slurp($plain)) {
        $include = "$wrapper.body";
        _install($include, $body);
    }
    _install($wrapper, "$text.include $include\n");
    return $self->{wrappers}{$key} = $wrapper;
}

# The full command for the words a script gave, and whom to start it as.
sub _argv ($self, $user, @words) {
    my @program = (@{ $self->{wrap} // [] }, $self->{inside});
    my @macros  = map { /^-D(.+)/s ? $1 : () } @words;
    my $own_config = grep { /^-C/ } @words;
    if (!$self->{profile}{trust}) {
        my @identity = $self->{run}{world}->single ? () : ('--caller', $user->{name});
        unshift @words, '-C', "$self->{dir}/test-config" unless $own_config;
        return ($self->{run}{root}, @program, @identity, @words);
    }
    return ($user, @program, @words) if $own_config || !@macros;
    @words = grep { !/^-D./s } @words;
    my @become = $user->{uid} == 0 ? () : (
        'setpriv', "--reuid=$user->{uid}", "--regid=$user->{gid}", '--groups=' . join(',', @{ $user->{groups} }, $user->{gid}),
    );
    return ($self->{run}{root}, qw(unshare --mount /bin/sh -c), "mount --bind \"\$0\" $DEFAULT_CONFIG && exec \"\$@\"",
        $self->_config_with(@macros), @become, @program, @words);
}

sub _spawn ($self, $command, $words, %how) {
    my $run  = $self->{run};
    my $user = $run->user_of($command);
    my %env  = %{ $run->environment($user, @{ $command->{env} }) };
    %env = (%env, %{ $self->{env} // {} });
    my ($as, @argv) = $self->_argv($user, @$words);
    return $run->start($command, argv => \@argv, user => $as, env => \%env, %how);
}

# The script command 'exim'. Returns the exit code.
sub command ($self, $command) {
    my $run   = $self->{run};
    my @words = Minim::Test::Script::words($self->_with_ids($command->{args}));
    $run->{flags}{debug} = 1 if grep { /^-d/ } @words;
    my %macro = map { /^-D(\w+)(?:=(.*))?/ ? ($1 => $2 // '') : () } @words;
    if (exists $macro{SERVER} && !exists $macro{NOTDAEMON}) {
        return $self->_start_daemon($command, @words);
    }
    my $code = $self->_foreground($command, @words);
    $run->settle unless @{ $self->{daemons} };
    $run->wait_for_servers;
    return $code;
}

# Starts it without input and leaves it running.
sub start ($self, $command) {
    return $self->_spawn($command, [Minim::Test::Script::words($self->_with_ids($command->{args}))]);
}

sub _foreground ($self, $command, @words) {
    pipe my $reader, my $writer or die "pipe: $!\n";
    my $pid = $self->_spawn($command, \@words, stdin => $reader);
    close $reader;
    local $SIG{PIPE} = 'IGNORE';
    $writer->autoflush(1);
    $self->_feed($writer, $command->{input});
    sleep $command->{hold} if $command->{hold};
    close $writer;
    return Minim::Test::Runner::exit_code(wait_for($pid));
}

# Input lines, with those that ask for special treatment.
sub _feed ($self, $writer, $lines) {
    for my $line (@$lines) {
        if    ($line =~ /^:eval:\s?(.*)/s)   { my $text = eval $1; print {$writer} $text // die "eval: $@" }
        elsif ($line =~ /^:noeol:(.*)/s)     { print {$writer} $self->_with_ids($1) }
        elsif ($line =~ /^:sleep:\s*(\S+)/)  { sleep $1 }
        elsif ($line =~ /^:file:\s*(\S+)/)   { print {$writer} slurp($1) }
        else                                 { print {$writer} $self->_with_ids($line), "\n" }
    }
    return;
}

sub _with_ids ($self, $text) {
    return $text unless $text =~ /\$msg\d/;
    my @ids = $self->queue;
    return $text =~ s/\$msg(\d+)/$ids[$1 - 1] \/\/ die "there is no message $1 on the queue\n"/ger;
}

# Runs the MTA for the runner's own sake and returns what it printed.
sub ask ($self, @words) {
    my $run = $self->{run};
    pipe my $reader, my $writer or die "pipe: $!\n";
    open my $null, '+<', '/dev/null' or die "/dev/null: $!\n";
    my $command = { env => [], $run->{world}->single ? () : (sudo => 'root') };
    my $pid = $self->_spawn($command, \@words, stdout => $writer, stderr => $null);
    close $writer;
    local $/ = undef;
    my $text = <$reader> // '';
    wait_for($pid);
    return $text;
}

my $ID = qr/[0-9A-Za-z]{6}-(?:[0-9A-Za-z]{6}-[0-9A-Za-z]{2}|[0-9A-Za-z]{11}-[0-9A-Za-z]{4})/;

# Ids of the messages on the queue, oldest first.
sub queue ($self) {
    return $self->ask('-bp') =~ /^\s*\S+\s+\S+\s+($ID)\s/mg;
}

sub _start_daemon ($self, $command, @words) {
    my $number = @{ $self->{daemons} };
    my ($given) = grep { $words[$_] eq '-oP' } 0 .. $#words;
    my $pidfile = defined $given ? $words[ $given + 1 ] : "$self->{dir}/spool/exim-daemon.pid" . ($number ? ".$number" : '');
    push @words, '-oP', $pidfile unless defined $given;
    unlink $pidfile;
    $command->{sudo} //= 'root' unless $self->{run}{world}->single;    # others may not choose the file
    my $pid  = $self->_spawn($command, \@words);
    my @ports = _ports(@words);
    my @others = map { $_->{pid} } @{ $self->{daemons} };
    my $ended;
    my $ready = await($self->{run}->patience, sub {
        return 1 if -s $pidfile && !grep { !listening($_) } @ports;
        $ended ||= !alive($pid) && !$self->{run}->mta_processes(@others);
        return $ended;
    });
    die "the daemon did not start\n" if !$ready || $ended && !-s $pidfile;
    push @{ $self->{daemons} }, { pid => slurp($pidfile) =~ s/\s+//gr, file => $pidfile };
    return;
}

# Ports that -oX names, where it names ports.
sub _ports (@words) {
    for my $at (0 .. $#words) {
        my $value = $words[$at] =~ /^-oX(.+)/s ? $1 : $words[$at] eq '-oX' ? $words[ $at + 1 ] : next;
        return grep { /^\d+$/ } map { s/^.*[.\]](\d+)$/$1/r } split /\s*:\s*/, $value unless $value =~ /::|^</;
    }
    return;
}

# Ends all daemons; waits until they and all they started are gone.
sub stop_daemons ($self) {
    my @daemons = splice @{ $self->{daemons} } or return;
    my @pids = map { $_->{pid} } @daemons;
    kill TERM => @pids;
    await($self->{run}->patience, sub { !grep { alive($_) } @pids }) or die "the daemon did not end on SIGTERM\n";
    $self->{run}->settle;
    unlink map { $_->{file} } @daemons;
    return;
}

1;

package Minim::Test::Commands;

# The commands of the script language, one row each:
#   name => [takes input?, function($run, $command) returning the exit code]
# A function that returns undef has no exit code to be checked.

use v5.36;
use Time::HiRes qw(sleep);
use Minim::Test::Canon;
use Minim::Test::Client;
use Minim::Test::File qw(slurp spew append);
use Minim::Test::Hints;
use Minim::Test::Process qw(spawn await alive);
use Minim::Test::Script;
use Minim::Test::Server;
use Minim::Test::Tls;
use Minim::Test::TlsGnutls;
use Minim::Test::TlsWords qw(take_tls_word);

my %COMMAND = (
    '###'         => [0, \&_heading],
    exim          => [1, sub ($run, $command) { $run->{mta}->command($command) }],
    client        => [1, \&_client],
    'client-ssl'    => [1, \&_client],
    'client-gnutls' => [1, \&_client],
    'client-tls'  => [1, \&_client],
    server        => [1, \&_server],
    write         => [1, \&_write],
    catwrite      => [1, \&_write],
    perl          => [1, \&_perl],
    background    => [1, \&_background],
    killdaemon    => [0, \&_killdaemon],
    sleep         => [0, sub ($run, $command) { sleep $command->{args}; return }],
    millisleep    => [0, sub ($run, $command) { sleep $command->{args} / 1000; return }],
    dump          => [0, \&_dump],
    dbmbuild      => [0, \&_dbmbuild],
    munge         => [0, \&_munge],
    rmfiltertest  => [0, sub ($run, $command) { unlink "$run->{dir}/test-filter"; return }],
    swaks         => [0, \&_swaks],
    clock         => [0, \&_clock],
    peer          => [0, \&_peer],
    await_log     => [0, \&_await_log],
    await_file    => [0, \&_await_file],
    await_queue_empty => [0, \&_await_queue_empty],
    need_largefiles           => [0, sub { return }],
    need_move_frozen_messages => [0, \&_need_support],
    need_ipv4     => [0, sub { return }],
    need_ipv6     => [0, sub { return }],
    gnutls        => [0, sub { return }],
    (map { $_ => [0, \&_shell] } qw(cat chmod chown cp du echo ln ls mkdir mkfifo rm rmdir touch mv)),
    (map { $_ => [0, \&_tool] } qw(exigrep exiqgrep exinext exim_lock eximstats)),
    (map { $_ => [0, \&_flag] } qw(sortlog no_message_check no_msglog_check no_stdout_check no_stderr_check no_munge)),
);

# Whether a command takes input; undef for an unknown one.
sub takes_input ($name) { return $COMMAND{$name} ? $COMMAND{$name}[0] : undef }

sub names () { return sort keys %COMMAND }

sub run ($run, $command) { return $COMMAND{ $command->{name} }[1]->($run, $command) }

sub _heading ($run, $command) {
    print { $run->{$_} } "$command->{raw}\n" for qw(stdout stderr);
    return;
}

sub _flag ($run, $command) {
    $run->{flags}{ $command->{name} } = 1;
    return;
}

# Another suite may name rules of its own; the comparison will show what they were for.
sub _munge ($run, $command) {
    my $name = $command->{args};
    die "there is no munge '$name'\n" unless $run->{spec}{foreign} || Minim::Test::Canon::knows_munge($name);
    $run->{flags}{munge}{$name} = 1;
    return;
}

sub _shell ($run, $command) {
    return $run->run_program($command, argv => ['/bin/sh', '-c', $run->{mta}->_with_ids($command->{raw})]);
}

# The tools of exim4-base. What asks the MTA is told which one; what reads Exim's
# own databases is of no use with another.
sub _tool ($run, $command) {
    my $name = $command->{name};
    my ($path) = grep { -x } map { "$_/$name" } qw(/usr/sbin /usr/bin);
    $run->skip("$name is not installed") unless $path;
    my @words = Minim::Test::Script::words($run->{mta}->_with_ids($command->{args}));
    if ($run->{spec}{mta}{kind} eq 'minim') {
        $run->skip('exinext reads databases of Exim') if $name eq 'exinext';
        $run->skip("this $name knows only message ids from before Exim 4.97") if $name =~ /^exiq?grep$/ && slurp($path) !~ /\{11\}|\{23\}/;
        unshift @words, '-E', $run->{spec}{mta}{inside}, '-C', "$run->{dir}/test-config" if $name eq 'exiqgrep';
        $command->{sudo} //= 'root' unless $run->{world}->single;    # as the caller it would not be set-uid
    }
    return $run->run_program($command, argv => [$path, @words]);
}

sub _client ($run, $command) {
    my @words = Minim::Test::Script::words($command->{args});
    my %arg;
    while (@words && $words[0] =~ /^-(.*)/) {
        my $option = $1;
        shift @words;
        if    ($option =~ /^t(\d+)(m?s)?$/)  { $arg{timeout} = $2 && $2 eq 'ms' ? $1 / 1000 : $1 }
        else { take_tls_word($option, \@words, \%arg) or die "client: unknown option -$option\n" }
    }
    @arg{qw(host port)} = splice @words, 0, $words[0] =~ m{^/} ? 1 : 2;
    $arg{interface} = shift @words if @words && $words[0] =~ /^[\d.]+$|:/;
    @{ $arg{tls} }{qw(cert key)} = @words if @words;
    _need_tls_library($run, \%arg, $command->{name} =~ s/^client-?//r) if $command->{name} ne 'client';
    $arg{timeout} = ($arg{timeout} // 5) * $run->{spec}{slowness};
    my $lines = $command->{input};
    return $run->run_program($command, code => sub {
        open my $out, '>&', \*STDOUT or die "stdout: $!\n";
        return Minim::Test::Client::run(\%arg, $lines, $out);
    });
}

# Which library client-ssl, client-gnutls and client-tls use; the last leaves it
# to the pairing that is being run.
sub _need_tls_library ($run, $arg, $which) {
    $which = $run->{spec}{tls}{scripted} // $run->{spec}{tls}{client} if $which eq 'tls';
    $arg->{library} = $which eq 'gnutls' ? 'gnutls' : 'openssl';
    $run->skip('Net::SSLeay (libnet-ssleay-perl) is not installed') unless Minim::Test::Tls::available();
    $run->skip('gnutls-cli (gnutls-bin) is not installed') if $which eq 'gnutls' && !Minim::Test::TlsGnutls::available();
    return;
}

sub _server ($run, $command) {
    my @words = Minim::Test::Script::words($command->{args});
    my %arg;
    while (@words && $words[0] =~ /^-(.*)/) {
        my $option = $1;
        shift @words;
        if    ($option =~ /^t(\d+)$/)         { $arg{timeout} = $1 }
        elsif ($option =~ /^i(\d+)$/)         { $arg{wait} = $1 }
        elsif ($option =~ /^no(ipv[46])$/)    { $arg{$1} = 0 }
        elsif ($option ne 'd') { take_tls_word($option, \@words, \%arg) or die "server: unknown option -$option\n" }
    }
    ($arg{where}, my $count) = @words;
    $arg{count}   = $count if defined $count;
    $arg{tls}{cert} //= $run->{spec}{foreign} ? 'aux-fixed/cert1' : 'aux-fixed/pki/a/server1.both.pem';
    $arg{timeout} = ($arg{timeout} // 5) * $run->{spec}{slowness};
    my $file = "$run->{dir}/test-stdout-server";
    open my $out, '>>:raw', $file or die "cannot write $file: $!\n";
    my $listener = Minim::Test::Server::listen_on(\%arg);
    my $pid = $run->start($command, stdout => $out, code => sub {
        return $listener->serve($command->{input}, $out);
    });
    push @{ $run->{servers} }, $pid;
    return;
}

# write FILE [NxM[=start]]...
sub _write ($run, $command) {
    my ($name, @blocks) = Minim::Test::Script::words($command->{args});
    my ($text, $after) = ('', '');
    my $part = \$text;
    for my $line (@{ $command->{input} }) {
        if   ($line eq '++++') { $part = \$after }
        else                   { $$part .= "$line\n" }
    }
    for my $block (@blocks) {
        my ($count, $width, $start) = $block =~ /^(\d+)x(\d+)(?:=(.*))?$/ or die "write: cannot read '$block'\n";
        my $line = ($start // '') =~ tr/_/ /r;
        $line .= 'a' x ($width - length $line) if length $line < $width;
        $text .= "$line\n" x $count;
    }
    $text .= $after;
    print { $run->{stdout} } "==========\n", $text, "==========\n" if $command->{name} eq 'catwrite';
    return $run->run_program($command, code => sub { spew($name, $text); return 0 });
}

sub _perl ($run, $command) {
    my $file = $run->input_handle($command->{input});
    return $run->run_program($command, argv => ['/usr/bin/perl', '-'], stdin => $file);
}

sub _background ($run, $command) {
    for my $line (@{ $command->{input} }) {
        my $inner = Minim::Test::Script::parse_command($line);
        push @{ $run->{background} },
            $inner->{name} eq 'exim' ? $run->{mta}->start($inner) : $run->start($command, argv => ['/bin/sh', '-c', $line]);
    }
    return;
}

sub _killdaemon ($run, $command) {
    $run->{mta}->stop_daemons;
    $run->wait_for_servers;
    return;
}

# Each MTA's own tool prints its hints; they come out in one form, by key.
sub _dump ($run, $command) {
    my $name = $command->{args};
    print { $run->{stdout} } "+++++++++++++++++++++++++++\n";
    if (!grep { -e } map { "$run->{dir}/spool/db/$name$_" } '', '.mdb') {
        print { $run->{stdout} } "(there is no database $name)\n";
    }
    elsif ($run->{spec}{mta}{kind} eq 'minim') {
        print { $run->{stdout} } Minim::Test::Hints::ordered($name, $run->{mta}->ask('--hints', $name));
    }
    else {
        $run->skip('exim_dumpdb is not installed') unless -x '/usr/sbin/exim_dumpdb';
        open my $pipe, '-|', '/usr/sbin/exim_dumpdb', "$run->{dir}/spool", $name or die "cannot run exim_dumpdb: $!\n";
        my $text = do { local $/ = undef; <$pipe> // '' };
        close $pipe or die "exim_dumpdb failed\n";
        print { $run->{stdout} } Minim::Test::Hints::ordered($name, $text);
    }
    return;
}

sub _dbmbuild ($run, $command) {
    $run->skip('exim_dbmbuild is not installed') unless -x '/usr/sbin/exim_dbmbuild';
    return $run->run_program($command, argv => ['/usr/sbin/exim_dbmbuild', Minim::Test::Script::words($command->{args})]);
}

sub _need_support ($run, $command) {
    my $need = $command->{name} =~ s/^need_//r;
    $run->skip("the MTA has no support $need") unless $run->{spec}{caps}{support}{$need};
    return;
}

sub _swaks ($run, $command) {
    my ($path) = grep { -x } qw(/usr/bin/swaks /usr/local/bin/swaks);
    $run->skip('swaks is not installed') unless $path;
    my @words = Minim::Test::Script::words($run->{mta}->_with_ids($command->{args}));
    return $run->run_program($command, argv => [$path, @words]);
}

# The library is preloaded into all programs through this test's own /etc, since
# set-user-id programs take nothing from the environment.
sub _clock ($run, $command) {
    my ($library) = glob '/usr/lib/*/faketime/libfaketime.so.1';
    $run->skip('faketime is not installed') unless $library;
    $command->{args} =~ /^[-+]\d+(?:\.\d+)?[smhdy]?$/ or die "clock: cannot read '$command->{args}'\n";
    spew('/etc/faketimerc', "$command->{args}\n");
    spew('/etc/ld.so.preload', "$library\n");
    return;
}

# Starts testsuite/peers/NAME with the work folder and the arguments. It says
# "ready" on its standard output once it serves, or "skip REASON"; it ends when
# it gets SIGTERM.
sub _peer ($run, $command) {
    my ($name, @words) = Minim::Test::Script::words($command->{args});
    my $program = "/mnt/suite/$run->{spec}{folders}{peers}/$name";
    $run->skip("there is no peer $name") unless -x $program;
    pipe my $reader, my $writer or die "pipe: $!\n";
    my $user = $run->{world}->single ? $run->{caller} : $run->{root};
    my $pid  = $run->start($command, argv => [$program, $run->{dir}, @words], user => $user, stdout => $writer);
    push @{ $run->{peers} }, $pid;
    close $writer;
    my $line = <$reader> // '';
    $run->skip($1) if $line =~ /^skip\s+(.*)/;
    die "peer $name did not become ready\n" unless $line =~ /^ready/;
    return;
}

sub _await_log ($run, $command) {
    my $pattern = qr/$command->{args}/m;
    await($run->patience, sub { $run->logs =~ $pattern }) and return;
    die "no line of the main log matched within @{[ $run->patience ]} seconds\n";
}

sub _await_file ($run, $command) {
    my $path = $command->{args};
    $path = "$run->{dir}/$path" unless $path =~ m{^/};
    await($run->patience, sub { -e $path }) and return;
    die "the file did not appear within @{[ $run->patience ]} seconds\n";
}

# Empty means that each message logged as received is logged as completed, and
# that the MTA says so too.
sub _await_queue_empty ($run, $command) {
    my $empty = sub {
        my $log = $run->logs;
        my %open = map { $_ => 1 } $log =~ /^\S+ \S+ (?:\S+ )?(\S+-\S+-\S+) <= /mg;
        delete @open{ $log =~ /^\S+ \S+ (?:\S+ )?(\S+-\S+-\S+) Completed/mg };
        return !%open && $run->{mta}->ask('-bpc') =~ /^0$/m;
    };
    await($run->patience, $empty) and return;
    die "the queue was not empty within @{[ $run->patience ]} seconds\n";
}

1;

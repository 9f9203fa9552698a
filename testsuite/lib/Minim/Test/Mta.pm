package Minim::Test::Mta;

# The MTA under test: where its binary is, what it says it can do (-bV), and
# the few ways in which MTAs have to be driven differently.

use v5.36;

# kind => how this MTA is to be driven
#   user, group  the login and group it runs as
#   setuid       the binary is set-uid root: it is started as the caller.
#                Otherwise it is started as root and told who the caller is.
#   backends     it has tls_backend
#   trust        its configuration must be listed as trusted, and macros must
#                be written into it
my %PROFILE = (
    minim => { user => 'eximuser',    group => 'eximuser',    setuid => 0, trust => 0, backends => 1 },
    exim4 => { user => 'Debian-exim', group => 'Debian-exim', setuid => 1, trust => 1, backends => 0 },
);

# Finds the binary that --mta, --asan name. Dies with advice if it is missing.
sub new ($class, $what, $root, $asan = 0) {
    my $path
        = $what eq 'minim' ? $root . ($asan ? '/build-asan/minim' : '/build/minim')
        : $what eq 'exim4' ? '/usr/sbin/exim4'
        :                    $what;
    die "runtest: $path is missing: "
        . ($what eq 'exim4' ? "install it with 'make deps'" : "build it with 'make'") . "\n"
        unless -x $path;
    my $self = bless { path => $path }, $class;
    $self->{banner} = _ask($path);
    $self->{kind}   = $self->{banner} =~ /^minim\b/mi ? 'minim' : 'exim4';
    $self->{caps}   = _capabilities($self->{banner});
    return $self;
}

sub path    ($self) { return $self->{path} }
sub kind    ($self) { return $self->{kind} }
sub profile ($self) { return $PROFILE{ $self->{kind} } }

# Under valgrind: makes, in the given folder, the library that keeps PCRE2's just-in-time compiler
# out of the MTA. Returns its path.
sub without_jit ($self, $lib, $folder) {
    my $out = "$folder/nojit.so";
    system('cc', qw(-shared -fPIC -O1 -o), $out, "$lib/nojit.c") == 0 or die "runtest: cannot compile $lib/nojit.c\n";
    return $self->{nojit} = $out;
}

# What the inside of a test needs to know. "inside" is the binary's place there.
sub for_spec ($self, $opt) {
    my $fixed = $self->{path} =~ m{^/usr/};
    my %spec = (
        path    => $self->{path},
        inside  => $fixed ? $self->{path} : '/mnt/mta/minim',
        kind    => $self->{kind},
        profile => $self->profile,
        env     => {},
        wrap    => [],
        binds   => {},
    );
    if ($opt->{asan}) {
        $spec{env} = {
            ASAN_OPTIONS  => 'log_path=/mnt/t/reports/asan:detect_leaks=1:abort_on_error=0:verify_asan_link_order=0',
            UBSAN_OPTIONS => 'log_path=/mnt/t/reports/ubsan:print_stacktrace=1:halt_on_error=1',
        };
    }
    # A pool is mostly known by pointers into it, which count as perhaps lost; and glibc is not to
    # free at the end what is still in use. Commands that minim runs are not its concern.
    $spec{wrap} = [qw(valgrind -q --leak-check=full --show-leak-kinds=definite --errors-for-leak-kinds=definite
        --run-libc-freeres=no --vgdb=no --trace-children=no --child-silent-after-fork=no
        --log-file=/mnt/t/reports/valgrind.%p)] if $opt->{valgrind};
    if ($self->{nojit}) {
        $spec{binds}{ $self->{nojit} } = '/mnt/mta/nojit.so';
        $spec{env}{LD_PRELOAD} = '/mnt/mta/nojit.so';
    }
    return \%spec;
}

sub _ask ($path) {
    my $pid = open(my $pipe, '-|') // die "runtest: cannot fork: $!\n";
    if (!$pid) {
        open STDERR, '>', '/dev/null';
        exec {$path} $path, '-C', '/dev/null', '-bV' or exit 127;
    }
    local $/ = undef;
    my $text = <$pipe> // '';
    close $pipe;
    return $text;
}

# The words that follow each heading of -bV, in lower case. "appendfile/maildir"
# counts as both, and so does "lmtp/x".
my %HEADING = (
    'support for'         => 'support',
    'lookups'             => 'lookup',
    'lookups (built-in)'  => 'lookup',
    'authenticators'      => 'authenticator',
    'routers'             => 'router',
    'transports'          => 'transport',
    'malware'             => 'malware',
    'features'            => 'feature',
);

sub _capabilities ($banner) {
    my %caps;
    for my $line (split /\n/, $banner) {
        my ($heading, $words) = $line =~ /^([A-Z][^:]*):\s*(.*)$/ or next;
        my $kind = $HEADING{ lc $heading } or next;
        for my $word (split ' ', lc $words) {
            my ($base, @variants) = split m{/}, $word;
            $caps{$kind}{$_} = 1 for $word, $base, map { "$base/$_" } @variants;
        }
    }
    return \%caps;
}

# Why the MTA cannot run a test with this need, or undef if it can.
sub lacks ($self, $kind, $what) {
    my %alias = (content_scanner => 'malware', ip => 'support');
    $kind = $alias{$kind} // $kind;
    return if $self->{caps}{$kind}{ lc $what };
    return "$self->{kind} has no $kind $what";
}

1;

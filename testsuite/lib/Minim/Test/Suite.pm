package Minim::Test::Suite;

# Where a suite keeps its files, and which tests it holds. Two layouts are
# known: this repository's, and the one of Exim's own suite. All other modules
# ask here for a folder by its role ("log", "mail", ...) and never build a path.

use v5.36;
use Minim::Test::File qw(slurp);

# role => [folder here, folder in a suite laid out as Exim's]
my %FOLDER = (
    scripts => ['scripts',          'scripts'],
    confs   => ['confs',            'confs'],
    fixed   => ['aux-fixed',        'aux-fixed'],
    var     => ['confs',            'aux-var-src'],
    dns     => ['testsuite/dns',    'dnszones-src'],
    peers   => ['testsuite/peers',  'peers'],
    log     => ['testsuite/log',    'log'],
    reject  => ['testsuite/reject', 'rejectlog'],
    panic   => ['testsuite/panic',  'paniclog'],
    msglog  => ['testsuite/msglog', 'msglog'],
    mail    => ['testsuite/mail',   'mail'],
    stdout  => ['testsuite/stdout', 'stdout'],
    stderr  => ['testsuite/stderr', 'stderr'],
);

sub new ($class, $dir) {
    die "runtest: no suite in $dir (no folder 'scripts')\n" unless -d "$dir/scripts";
    return bless { dir => $dir, foreign => -d "$dir/testsuite" ? 0 : 1 }, $class;
}

sub dir     ($self) { return $self->{dir} }
sub foreign ($self) { return $self->{foreign} }

# The folder for a role, relative to the suite's own.
sub rel ($self, $role) {
    my $row = $FOLDER{$role} or die "unknown folder role $role";
    return $row->[ $self->{foreign} ];
}

sub folder ($self, $role) { return "$self->{dir}/" . $self->rel($role) }

# All tests in the order of their numbers:
# { num, group, path, title, needs => [[kind, what], ...] }
sub tests ($self) {
    my @tests;
    for my $group (glob $self->folder('scripts') . '/[0-9]*-*') {
        my $needs = _requires("$group/REQUIRES");
        for my $path (glob "$group/[0-9][0-9][0-9][0-9]") {
            my ($group_name, $num) = $path =~ m{([^/]+)/(\d+)$};
            my ($title, @own) = _header($path);
            push @tests, { num => $num, group => $group_name, path => $path, title => $title, needs => [@$needs, @own] };
        }
    }
    return sort { $a->{num} <=> $b->{num} } @tests;
}

# The tests the selectors name; all of them without selectors.
sub select ($self, @selectors) {
    my @all = $self->tests;
    return @all unless @selectors;
    my %chosen;
    for my $selector (@selectors) {
        my @hit = grep { _matches($_, $selector) } @all;
        die "runtest: '$selector' selects no test\n" unless @hit;
        $chosen{ $_->{num} } = 1 for @hit;
    }
    return grep { $chosen{ $_->{num} } } @all;
}

sub _matches ($test, $selector) {
    return $test->{num} == $selector if $selector =~ /^\d+$/;
    return $test->{num} >= $1 && $test->{num} <= $2 if $selector =~ /^(\d+)-(\d+)$/;
    my $group = lc $test->{group};
    return lc $selector eq $group || lc $selector eq $group =~ s/^\d+-//r;
}

# The comment lines a script begins with: its title, and the needs it states
# ("# needs KIND WHAT", "# only MTA: REASON"), "# matrix tls" or none.
sub _header ($path) {
    my ($first, @more) = split /\n/, slurp($path);
    my @needs;
    for my $line (@more) {
        last unless $line =~ /^#(?!##)/;
        push @needs, [$1, $2 // ''] if $line =~ /^# needs (\S+)(?:\s+(.*\S))?/;
        push @needs, ['matrix', $1] if $line =~ /^# matrix (\w+)/;
        push @needs, ['mta', $1, $2] if $line =~ /^# only (\S+): (.*\S)/;
    }
    return (($first // '') =~ /^#+\s*(.*)/ ? $1 : 'untitled', @needs);
}

sub _requires ($file) {
    return [] unless -e $file;
    my @lines = grep { /\S/ && !/^\s*#/ } split /\n/, slurp($file);
    return [map { s/^\s+|\s+$//gr =~ /^(\S+)\s+(.*)$/ ? [$1, $2] : [$_, ''] } @lines];
}

1;

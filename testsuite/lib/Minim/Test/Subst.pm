package Minim::Test::Subst;

# The words that scripts, configurations, zones and auxiliary files may use in
# place of values that differ from run to run. The same table serves the
# canonicaliser, which turns some values back into their names.

use v5.36;
use Exporter qw(import);
our @EXPORT_OK = qw(values_for substitute);

our $HOSTNAME = 'the.local.host.name';
our %FIXED = (
    HOSTIPV4  => '198.18.0.1',
    HOSTIPV6  => '2001:db8:5::1',
    HOSTNAME  => $HOSTNAME,
    V4NET     => '224',
    V6NET     => 'ff00',
    PORT_N    => 1223,
    PORT_S    => 1224,
    PORT_D    => 1225,
    PORT_D2   => 1226,
    PORT_D3   => 1227,
    PORT_D4   => 1228,
    PORT_DYNAMIC => 1230,
);

# All substitutions for one test. $where holds dir, exim_path, user, group,
# caller, caller_group, caller_uid, caller_gid, num, and tls => {server, client}.
sub values_for ($where) {
    return {
        %FIXED,
        DIR         => $where->{dir},
        EXIM_PATH   => $where->{exim_path},
        EXIMUSER    => $where->{user},
        EXIMGROUP   => $where->{group},
        CALLER      => $where->{caller},
        CALLERGROUP => $where->{caller_group},
        CALLER_UID  => $where->{caller_uid},
        CALLER_GID  => $where->{caller_gid},
        TESTNUM     => $where->{num},
        TLS_SERVER  => $where->{tls}{server},
        TLS_CLIENT  => $where->{tls}{client},
    };
}

# Longer names first, so that PORT_D2 is not taken for PORT_D.
sub substitute ($text, $values) {
    my $names = join '|', map { quotemeta } sort { length $b <=> length $a || $a cmp $b } keys %$values;
    return $text =~ s/\b($names)\b/$values->{$1}/gr;
}

1;

package Minim::Test::Matrix;

# Tests that are run once per pairing of TLS libraries: "# matrix tls" in a
# script's opening comment, or "matrix tls" in its group's REQUIRES ("# matrix
# none" excepts a test of such a group). The MTA
# serves with the one and connects with the other; all pairings have the same
# expectations. What a test is told of it: TLS_SERVER and TLS_CLIENT in its
# configuration and script.
#
# An MTA whose library is chosen when it is built (exim4) runs such a test once.

use v5.36;
use Exporter qw(import);
our @EXPORT_OK = qw(expand suffixes_of $ANY_SUFFIX);

my @LIBRARIES = qw(openssl gnutls);

# What a file of an expectation that is not for everybody ends in.
our $ANY_SUFFIX = do {
    my $library = join '|', @LIBRARIES;
    qr/\.(?:minim|exim4|(?:server|client)-(?:$library)|(?:$library)-(?:$library))$/;
};

# The runs of these tests: each gets name (NNNN, or NNNN/SERVER-CLIENT) and tls
# => {server, client, scripted: the library of client-tls if not the client's}, and unmet => reason where the MTA lacks a library.
# "2001/openssl-gnutls" among the selectors keeps that run alone of its test.
sub expand ($mta, $selectors, @tests) {
    my %only;
    for (@$selectors) { $only{ 0 + $1 }{$2} = 1 if m{^(\d+)/([a-z]+-[a-z]+)$} }
    my @runs;
    for my $test (@tests) {
        my ($matrix) = map { $_->[0] eq 'matrix' ? $_->[1] eq 'tls' : () } reverse @{ $test->{needs} };
        my $plain  = { %$test, needs => [grep { $_->[0] ne 'matrix' } @{ $test->{needs} }] };
        my $wanted = $only{ 0 + $test->{num} };
        push @runs, grep { !$wanted || !$_->{pairing} || $wanted->{ $_->{pairing} } }
            $matrix ? _pairings($mta, $plain) : _plain($mta, $plain);
    }
    return @runs;
}

# Selectors without the pairing.
sub numbers (@selectors) { return map { s{/[a-z]+-[a-z]+$}{}r } @selectors }

sub _has ($mta, $library) { return !$mta->lacks('support', $library) }

sub _plain ($mta, $test) {
    my $library = (grep { _has($mta, $_) } @LIBRARIES)[0] // 'none';
    return { %$test, name => $test->{num}, tls => { server => $library, client => $library } };
}

sub _pairings ($mta, $test) {
    my @present = grep { _has($mta, $_) } @LIBRARIES;
    return { %{ _plain($mta, $test) }, unmet => $mta->kind . ' has no TLS' } unless @present;
    return { %$test, name => $test->{num}, tls => { server => $present[0], client => $present[0], scripted => 'openssl' } } unless $mta->profile->{backends};
    my @runs;
    for my $server (@LIBRARIES) {
        for my $client (@LIBRARIES) {
            my ($missing) = grep { !_has($mta, $_) } $server, $client;
            push @runs, {
                %$test,
                name    => "$test->{num}/$server-$client",
                pairing => "$server-$client",
                tls     => { server => $server, client => $client },
                ($missing ? (unmet => $mta->kind . " has no support $missing") : ()),
            };
        }
    }
    return @runs;
}

# Endings of expectations that are for this run alone, the closest first.
sub suffixes_of ($test, $kind) {
    return $kind unless $test->{pairing};
    return ($test->{pairing}, "server-$test->{tls}{server}", "client-$test->{tls}{client}", $kind);
}

1;

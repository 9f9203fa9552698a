package Minim::Test::TlsWords;

# The words about TLS in the commands client and server: one row each, so that
# both understand the same. What they mean is said in Minim::Test::Tls.

use v5.36;
use Exporter qw(import);
our @EXPORT_OK = qw(take_tls_word);

# word => function($arg, $value); those with 1 have a value.
my %WORD = (
    'tls-on-connect' => [0, sub ($arg, $value) { $arg->{tls_on_connect} = 1 }],
    brief            => [0, sub ($arg, $value) { $arg->{brief} = 1 }],
    show             => [0, sub ($arg, $value) { $arg->{show} = 1 }],
    alpn             => [1, sub ($arg, $value) { $arg->{tls}{alpn} = [split /,/, $value] }],
    (map { my $name = $_; $name => [1, sub ($arg, $value) { $arg->{tls}{$name} = $value }] } qw(sni version keytype cert key staple ca)),
    ocsp             => [1, sub ($arg, $value) { $arg->{tls}{ca} = $value }],
);

# Takes an option's value, if it has one, off the words. False if the option is
# not about TLS.
sub take_tls_word ($option, $words, $arg) {
    my $row = $WORD{$option} or return 0;
    my ($has_value, $set) = @$row;
    die "-$option needs a value\n" if $has_value && !@$words;
    $set->($arg, $has_value ? shift @$words : undef);
    return 1;
}

1;

# DNS: messages, zones, and what the server answers.
use v5.36;
use Test::More;
use Minim::Test::Dns::Message qw(decode_query encode_answer encode_name encode_rdata %TYPE);
use Minim::Test::Dns::Server;
use Minim::Test::Dns::Zone;

sub query ($name, $type, $opt = '') {
    return pack('n6', 77, 0x0100, 1, 0, 0, $opt ? 1 : 0) . encode_name($name) . pack('n2', $TYPE{$type}, 1) . $opt;
}

my $query = decode_query(query('Mx.Test.ex', 'MX', "\0" . pack('n n N n', 41, 1232, 0x8000, 0)));
is($query->{name}, 'Mx.Test.ex', 'name');
is($query->{type}, 'MX', 'type');
is_deeply($query->{edns}, { size => 1232, do => 1 }, 'EDNS');
ok(!defined decode_query($_), 'not a query') for '', 'x' x 11, pack('n6', 1, 0x8000, 1, 0, 0, 0) . "\0" x 5,
    substr(query('a.b', 'A'), 0, -3), pack('n6', 1, 0, 1, 0, 0, 0) . "\x40abcdef";

my $same = sub ($name) { $name };
is(unpack('H*', encode_name('a.bc.')), '016102626300', 'a name on the wire');
is(unpack('H*', encode_name('a\.b')), '03612e6200', 'an escaped dot');
is(unpack('H*', encode_rdata('A', '1.2.3.4', $same)), '01020304', 'A');
is(unpack('H*', encode_rdata('AAAA', '::1', $same)), '0' x 31 . '1', 'AAAA');
is(encode_rdata('TXT', '"a b" c', $same), "\3a b\1c", 'TXT');
is(length encode_rdata('TXT', '"' . 'x' x 300 . '"', $same), 302, 'a long TXT string is cut');
is(unpack('H*', encode_rdata('MX', '10 a', $same)), '000a016100', 'MX');
is(unpack('H*', encode_rdata('SRV', '1 2 25 a', $same)), '0001000200' . '19016100', 'SRV');
is(unpack('H*', encode_rdata('TLSA', '3 1 1 ab cd', $same)), '030101abcd', 'TLSA');
ok(!eval { encode_rdata('A', 'nonsense', $same); 1 }, 'a bad address is refused');

my $zone = Minim::Test::Dns::Zone::parse(<<'ZONE', 'test.ex');
; comment
@         SOA  ns hostmaster ( 1 2
               3 4 5 ) ; more
          NS   ns
ns        A    127.0.0.1
mx        MX   5 ns
          MX   10 outside.example.
txt   60  TXT  "a ; b" ; comment
alias     CNAME mx
away      CNAME host.other.ex.
below.deep A   1.1.1.1
*.wild    A    2.2.2.2
AA auth   A    3.3.3.3
DNSSEC secure A 4.4.4.4
DELAY=300 slow A 5.5.5.5
TTL=7 short A 6.6.6.6
ZONE
my $other = Minim::Test::Dns::Zone::parse("host A 9.9.9.9\n", 'other.ex');
my $reverse = Minim::Test::Dns::Zone::parse("0.0.1 PTR localhost.\n", '127.in-addr.arpa');
my %zones = map { $_->{origin} => $_ } $zone, $other, $reverse;
my $server = bless { zones => \%zones }, 'Minim::Test::Dns::Server';

sub answer ($name, $type) { return $server->answer({ name => $name, type => $type }) }
sub summary ($name, $type) {
    my $reply = answer($name, $type);
    return join ' ', $reply->{rcode}, map { "$_->{name}/$_->{type}/" . ($_->{text} // '') } @{ $reply->{answer} };
}

is(summary('NS.test.ex', 'A'), '0 ns.test.ex/A/127.0.0.1', 'an address, in any case');
is(summary('mx.test.ex', 'MX'), '0 mx.test.ex/MX/5 ns mx.test.ex/MX/10 outside.example.', 'a set; the owner is carried on');
is(summary('mx.test.ex', 'A'), '0', 'no such type');
is(summary('nope.test.ex', 'A'), '3', 'no such name');
is(summary('deep.test.ex', 'A'), '0', 'a name with others below it exists');
is(summary('alias.test.ex', 'MX'), '0 alias.test.ex/CNAME/mx mx.test.ex/MX/5 ns mx.test.ex/MX/10 outside.example.', 'an alias');
is(summary('away.test.ex', 'A'), '0 away.test.ex/CNAME/host.other.ex. host.other.ex/A/9.9.9.9', 'an alias into another zone');
is(summary('x.wild.test.ex', 'A'), '0 x.wild.test.ex/A/2.2.2.2', 'a wildcard');
is(summary('1.0.0.127.in-addr.arpa', 'PTR'), '0 1.0.0.127.in-addr.arpa/PTR/localhost.', 'a reverse name');
is(summary('a.test.again.dns', 'A'), '2', 'test.again.dns');
is(summary('test.fail.dns', 'A'), '5', 'test.fail.dns');
is(answer('2.test.again.dns', 'A')->{delay}, 2000, 'a delay in the name');
is(answer('slow.test.ex', 'A')->{delay}, 300, 'DELAY');
ok(answer('auth.test.ex', 'A')->{aa}, 'AA');
ok(answer('secure.test.ex', 'A')->{ad} && !answer('ns.test.ex', 'A')->{ad}, 'DNSSEC');
is(answer('short.test.ex', 'A')->{answer}[0]{ttl}, 7, 'TTL');
is(answer('txt.test.ex', 'TXT')->{answer}[0]{ttl}, 60, 'a TTL in the record');
is(scalar @{ answer('manyhome.test.ex', 'A')->{answer} }, 2048, 'manyhome');

my $packet = encode_answer($query, answer('mx.test.ex', 'MX'));
is(unpack('n', $packet), 77, 'the id is returned');
is_deeply([unpack 'x4 n4', $packet], [1, 2, 0, 1], 'counts: question, answers, authority, additional');
is(unpack('x2 n', $packet) & 0x8180, 0x8180, 'flags: answer, recursion wanted and available');
my $short = encode_answer($query, answer('manyhome.test.ex', 'A'), 512);
ok(length $short < 512 && unpack('x2 n', $short) & 0x0200, 'what does not fit is truncated');
done_testing();

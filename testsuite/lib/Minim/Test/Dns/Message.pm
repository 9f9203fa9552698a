package Minim::Test::Dns::Message;

# DNS messages on the wire (RFC 1035): reads a query, writes an answer. Names
# in answers are written uncompressed; resolvers do not mind.

use v5.36;
use Exporter qw(import);
use Socket qw(inet_aton inet_pton AF_INET6);
our @EXPORT_OK = qw(decode_query encode_answer encode_name encode_rdata %TYPE %RCODE);

our %TYPE = (
    A => 1, NS => 2, CNAME => 5, SOA => 6, PTR => 12, MX => 15, TXT => 16, AAAA => 28, SRV => 33,
    OPT => 41, TLSA => 52, CSA => 33, SPF => 99, ANY => 255, CAA => 257,
);
our %RCODE = (NOERROR => 0, FORMERR => 1, SERVFAIL => 2, NXDOMAIN => 3, NOTIMP => 4, REFUSED => 5);
my %TYPE_NAME = map { $TYPE{$_} => $_ } grep { $_ ne 'CSA' } keys %TYPE;

# {id, flags, name, type, qtype, class, edns, question} or undef if it is not a query.
sub decode_query ($packet) {
    return if length $packet < 17;
    my ($id, $flags, $questions, undef, undef, $additional) = unpack 'n6', $packet;
    return if $flags & 0x8000 || $questions != 1;
    my $at = 12;
    my @labels;
    while (1) {
        return if $at >= length $packet;
        my $length = ord substr $packet, $at++, 1;
        last unless $length;
        return if $length > 63 || $at + $length > length $packet;
        push @labels, substr $packet, $at, $length;
        $at += $length;
    }
    return if $at + 4 > length $packet;
    my ($type, $class) = unpack 'n2', substr $packet, $at, 4;
    return {
        id       => $id,
        flags    => $flags,
        name     => join('.', @labels),
        qtype    => $type,
        type     => $TYPE_NAME{$type} // "TYPE$type",
        class    => $class,
        edns     => $additional ? _edns(substr $packet, $at + 4) : undef,
        question => substr($packet, 12, $at + 4 - 12),
    };
}

# The UDP size and flags of an OPT record, if the additional section holds one.
sub _edns ($section) {
    return unless $section =~ /^\0/ && length $section >= 11;
    my ($type, $size, $flags) = unpack 'x n n x2 n', $section;
    return unless $type == $TYPE{OPT};
    return { size => $size, do => $flags & 0x8000 ? 1 : 0 };
}

# An answer to $query: {rcode, aa, ad, answer => [rr], authority => [rr]}, an rr
# being {name, type, ttl, rdata}. Longer than $limit bytes, it goes out empty
# with the truncation bit.
sub encode_answer ($query, $reply, $limit = 65535) {
    my $flags = 0x8000 | ($query->{flags} & 0x7910) | 0x0080 | $reply->{rcode};
    $flags |= 0x0400 if $reply->{aa};
    $flags |= 0x0020 if $reply->{ad};
    my @answer    = map { _encode_rr($_) } @{ $reply->{answer}    // [] };
    my @authority = map { _encode_rr($_) } @{ $reply->{authority} // [] };
    my $opt       = $query->{edns} ? "\0" . pack('n n N n', $TYPE{OPT}, 4096, $query->{edns}{do} ? 0x8000 : 0, 0) : '';
    my $packet    = pack('n6', $query->{id}, $flags, 1, scalar @answer, scalar @authority, $opt ? 1 : 0)
        . $query->{question} . join('', @answer, @authority) . $opt;
    return $packet if length $packet <= $limit;
    return pack('n6', $query->{id}, $flags | 0x0200, 1, 0, 0, $opt ? 1 : 0) . $query->{question} . $opt;
}

sub _encode_rr ($rr) {
    return encode_name($rr->{name}) . pack('n n N n/a*', $TYPE{ $rr->{type} }, 1, $rr->{ttl}, $rr->{rdata});
}

# A name in presentation form; "\." and "\DDD" are escapes.
sub encode_name ($name) {
    $name =~ s/(?<!\\)\.$//;
    return "\0" if $name eq '';
    my @labels = split /(?<!\\)\./, $name;
    return join('', map { pack 'C/a*', _unescape($_) } @labels) . "\0";
}

sub _unescape ($text) {
    return $text =~ s/\\(?:(\d{3})|(.))/defined $1 ? chr $1 : $2/gser;
}

# The character strings of a TXT record: quoted or bare words, at most 255
# bytes each (longer ones are cut into several).
sub _strings ($text) {
    my @strings;
    while ($text =~ /\G\s*(?:"((?:[^"\\]|\\.)*)"|([^\s"]+))/gcs) {
        my $string = _unescape($1 // $2);
        push @strings, '' if $string eq '';
        push @strings, substr $string, 0, 255, '' while length $string;
    }
    return join '', map { pack 'C/a*', $_ } @strings;
}

# type => function(presentation form, function completing a relative name)
my %RDATA = (
    A     => sub ($text, $full) { inet_aton($text) // die "bad address $text\n" },
    AAAA  => sub ($text, $full) { inet_pton(AF_INET6, $text) // die "bad address $text\n" },
    TXT   => sub ($text, $full) { _strings($text) },
    SPF   => sub ($text, $full) { _strings($text) },
    (map { $_ => sub ($text, $full) { encode_name($full->($text)) } } qw(NS CNAME PTR)),
    MX => sub ($text, $full) {
        my ($preference, $host) = split ' ', $text;
        return pack('n', $preference) . encode_name($full->($host));
    },
    SRV => sub ($text, $full) {
        my ($priority, $weight, $port, $host) = split ' ', $text;
        return pack('n3', $priority, $weight, $port) . encode_name($full->($host));
    },
    SOA => sub ($text, $full) {
        my ($host, $mailbox, @numbers) = split ' ', $text =~ tr/()//dr;
        return encode_name($full->($host)) . encode_name($full->($mailbox)) . pack 'N5', map { $_ // 0 } @numbers[0 .. 4];
    },
    TLSA => sub ($text, $full) {
        my ($usage, $selector, $matching, @hex) = split ' ', $text;
        return pack 'C3 H*', $usage, $selector, $matching, join '', @hex;
    },
    CAA => sub ($text, $full) {
        my ($flags, $tag, $value) = $text =~ /^(\d+)\s+(\S+)\s+"?(.*?)"?$/ or die "bad CAA $text\n";
        return pack 'C C/a* a*', $flags, $tag, $value;
    },
);
$RDATA{CSA} = $RDATA{SRV};

sub encode_rdata ($type, $text, $full) {
    my $encode = $RDATA{$type} or die "record type $type is not known\n";
    return $encode->($text, $full);
}

1;

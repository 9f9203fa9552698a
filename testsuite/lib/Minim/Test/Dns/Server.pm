package Minim::Test::Dns::Server;

# The name server of a test: UDP and TCP on the loopback addresses, answers from
# the zones, and names that misbehave on purpose. It serves until it is killed.

use v5.36;
use IO::Select;
use IO::Socket::IP;
use Time::HiRes qw(sleep);
use Minim::Test::Dns::Message qw(decode_query encode_answer encode_rdata %RCODE);

# Names of which no zone knows: pattern => what happens.
my @SPECIAL = (
    [qr/(?:^|\.)test\.again\.dns$/, 'SERVFAIL'],
    [qr/(?:^|\.)test\.fail\.dns$/,  'REFUSED'],
    [qr/(?:^|\.)test\.refuse\.dns$/, 'REFUSED'],
    [qr/(?:^|\.)test\.drop\.dns$/,  'DROP'],
);

# Opens the sockets on port 53 of each address; dies if one is not to be had.
sub listen_on ($zones, @addresses) {
    my $self = bless { zones => $zones, udp => [], tcp => [] }, __PACKAGE__;
    for my $address (@addresses) {
        my %local = (LocalHost => $address, LocalPort => 53, ReuseAddr => 1);
        push @{ $self->{udp} }, IO::Socket::IP->new(%local, Proto => 'udp')
            || die "DNS server: [$address]:53/udp: $@\n";
        push @{ $self->{tcp} }, IO::Socket::IP->new(%local, Proto => 'tcp', Listen => 50)
            || die "DNS server: [$address]:53/tcp: $@\n";
    }
    return $self;
}

# Serves for ever. Answers that must be late, and TCP conversations, are left to
# a child so that nobody else waits for them.
sub serve ($self) {
    local $SIG{CHLD} = 'IGNORE';
    my $select = IO::Select->new(@{ $self->{udp} }, @{ $self->{tcp} });
    my %is_tcp = map { $_ => 1 } @{ $self->{tcp} };
    while (1) {
        for my $socket ($select->can_read) {
            if   ($is_tcp{$socket}) { $self->_tcp($socket) }
            else                    { $self->_udp($socket) }
        }
    }
}

sub _udp ($self, $socket) {
    my $peer  = recv $socket, my $packet, 65535, 0;
    my $query = decode_query($packet // '') or return;
    my $reply = $self->_answer($query);
    return if $reply->{drop};
    my $send = sub {
        send $socket, encode_answer($query, $reply, $query->{edns} ? $query->{edns}{size} : 512), 0, $peer;
    };
    return $send->() unless $reply->{delay};
    return if fork // 1;
    sleep $reply->{delay} / 1000;
    $send->();
    exit 0;
}

sub _tcp ($self, $listener) {
    my $socket = $listener->accept or return;
    return if fork // 1;
    while (defined(my $length = _read_exactly($socket, 2))) {
        my $query = decode_query(_read_exactly($socket, unpack 'n', $length) // '') or last;
        my $reply = $self->_answer($query);
        last if $reply->{drop};
        sleep $reply->{delay} / 1000 if $reply->{delay};
        print {$socket} pack 'n/a*', encode_answer($query, $reply);
        $socket->flush;
    }
    exit 0;
}

sub _read_exactly ($socket, $count) {
    my $data = '';
    while (length $data < $count) {
        return unless sysread $socket, $data, $count - length $data, length $data;
    }
    return $data;
}

# An error in here must not end the service: it is told, and answered.
sub _answer ($self, $query) {
    my $reply = eval { $self->answer($query) };
    return $reply if $reply;
    print STDERR "DNS server: $query->{name} $query->{type}: $@";
    return { rcode => $RCODE{SERVFAIL} };
}

# The reply to a query: {rcode, answer, authority, aa, ad, delay, drop}.
sub answer ($self, $query) {
    my $name = lc $query->{name};
    for my $row (@SPECIAL) {
        next unless $name =~ $row->[0];
        my $delay = $name =~ /^(\d+)\./ ? 1000 * $1 : 0;
        return { drop => 1 } if $row->[1] eq 'DROP';
        return { rcode => $RCODE{ $row->[1] }, delay => $delay };
    }
    my $zone = $self->_zone_of($name);
    return { rcode => $RCODE{NXDOMAIN}, answer => [] } unless $zone;
    return _many($query) if $name eq 'manyhome.test.ex' && $query->{type} =~ /^A(?:AAA)?$/;
    return $self->_from_zone($zone, $name, $query->{type});
}

sub _zone_of ($self, $name) {
    my @labels = split /\./, $name;
    while (@labels) {
        my $zone = $self->{zones}{ join '.', @labels };
        return $zone if $zone;
        shift @labels;
    }
    return $self->{zones}{''};
}

# Follows aliases, into other zones too, as a recursive resolver would.
sub _from_zone ($self, $zone, $name, $type) {
    my (@answer, %seen);
    my $exists = 0;
    while ($zone && !$seen{$name}++) {
        my $set = _find($zone, $name);
        $exists = 1 if $set || @answer;
        last unless $set;
        my @found = $type eq 'ANY' ? map { @$_ } values %$set : @{ $set->{$type} // [] };
        push @answer, map { +{ %$_, name => $_->{wild} ? $name : $_->{name} } } @found;
        last if @found || !$set->{CNAME};
        my ($alias) = @{ $set->{CNAME} };
        push @answer, $alias;
        $name = lc $alias->{text} =~ s/\.$//r;
        $name .= ".$zone->{origin}" unless $alias->{text} =~ /\.$/;
        $zone = $self->_zone_of($name);
    }
    my ($delay) = sort { $b <=> $a } map { $_->{delay} // 0 } @answer;
    return {
        rcode     => $exists ? $RCODE{NOERROR} : $RCODE{NXDOMAIN},
        answer    => \@answer,
        authority => @answer || !$zone || !$zone->{soa} ? [] : [$zone->{soa}],
        aa        => @answer ? scalar(grep { $_->{aa} } @answer) : 0,
        ad        => @answer && !(grep { !$_->{ad} } @answer),
        delay     => $delay // 0,
    };
}

# The records of a name, or of the wildcard that covers it. A name that only has
# names below it exists, without records.
sub _find ($zone, $name) {
    my $names = $zone->{names};
    return $names->{$name} if $names->{$name};
    return {} if grep { length $_ > length $name && substr($_, -length($name) - 1) eq ".$name" } keys %$names;
    my $rest = $name;
    while ($rest =~ s/^[^.]*\.//) {
        my $wild = $names->{"*.$rest"} or next;
        return { map { $_ => [map { +{ %$_, wild => 1 } } @{ $wild->{$_} }] } keys %$wild };
    }
    return;
}

sub _many ($query) {
    return { rcode => 0, answer => [] } if $query->{type} eq 'AAAA';
    my @answer = map {
        my $rdata = encode_rdata('A', sprintf('10.250.%d.%d', $_ >> 8, $_ & 255), sub ($n) { $n });
        { name => $query->{name}, type => 'A', ttl => 3600, rdata => $rdata };
    } 0 .. 2047;
    return { rcode => 0, answer => \@answer };
}

1;

package Minim::Test::Dns::Zone;

# Zones from master files with the suite's extra words. A zone is
# {origin, soa, names => {lower-case name => {type => [record]}}, pass}, a
# record {name, type, ttl, rdata, text, aa, ad, delay}.
#
# A file db.NAME holds the zone NAME; db.ip4.224 and db.ip6.ff00 hold reverse
# zones, their owners written in the address's own order.

use v5.36;
use Minim::Test::Dns::Message qw(encode_rdata %TYPE);
use Minim::Test::File qw(slurp);
use Minim::Test::Subst qw(substitute);

# All zones of a folder; later folders replace zones of the same name.
sub load_all ($values, @folders) {
    my %zones;
    for my $folder (grep { -d } @folders) {
        for my $file (glob "$folder/db.*") {
            my $name = substitute($file =~ s{.*/db\.}{}r, $values);
            my $zone = parse(substitute(slurp($file), $values), _origin($name));
            $zones{ $zone->{origin} } = $zone;
        }
    }
    return \%zones;
}

sub _origin ($name) {
    return lc join('.', reverse split /\./, $1) . '.in-addr.arpa' if $name =~ /^ip4\.(.+)$/;
    return lc join('.', reverse split //, $1 =~ s/[.:]//gr) . '.ip6.arpa' if $name =~ /^ip6\.(.+)$/;
    return lc $name;
}

sub parse ($text, $origin) {
    my $zone = { origin => $origin, names => {} };
    my ($owner, $ttl) = ($origin, 3600);
    my $line_number = 0;
    for my $line (_logical_lines($text)) {
        $line_number++;
        if ($line =~ /^PASS ON NOT FOUND/) { $zone->{pass} = 1; next }
        if ($line =~ /^\$TTL\s+(\d+)/i)    { $ttl = $1; next }
        my %mark;
        while ($line =~ s/^(AA|DNSSEC|NXDOMAIN|DELAY=\d+|TTL=\d+)\s(?=.)//) {
            my ($word, $value) = split /=/, $1;
            $mark{$word} = $value // 1;
        }
        my $record = _record($line, $owner, $zone->{origin}, $ttl);
        $owner = $record->{name};
        @$record{qw(aa ad delay)} = @mark{qw(AA DNSSEC DELAY)};
        $record->{ttl} = $mark{TTL} if defined $mark{TTL};
        push @{ $zone->{names}{$owner}{ $record->{type} } }, $record;
        $zone->{soa} //= $record if $record->{type} eq 'SOA';
    }
    return $zone;
}

# Comments off, parentheses joined, blank lines left out.
sub _logical_lines ($text) {
    my (@lines, $open);
    for my $line (split /\n/, $text) {
        $line =~ s/^((?:[^;"]|"(?:[^"\\]|\\.)*")*);.*$/$1/;
        next if $line =~ /^\s*$/;
        if (defined $open) { $open .= " $line" }
        else               { $open = $line }
        my $bare = $open =~ s/"(?:[^"\\]|\\.)*"//gr;
        next if ($bare =~ tr/(//) > ($bare =~ tr/)//);
        push @lines, $open;
        $open = undef;
    }
    push @lines, $open if defined $open;
    return @lines;
}

sub _record ($line, $owner, $origin, $default_ttl) {
    my ($name, $rest) = $line =~ /^(\S*)\s+(.*?)\s*$/ or die "zone $origin: cannot read '$line'\n";
    $name = $name eq '' ? $owner : _full_owner($name, $origin);
    my $ttl = $rest =~ s/^(\d+)\s+// ? $1 : $default_ttl;
    $rest =~ s/^IN\s+//i;
    $ttl = $1 if $rest =~ s/^(\d+)\s+//;
    my ($type, $data) = split ' ', $rest, 2;
    $type = uc $type;
    my $full  = sub ($relative) { return _full($relative, $origin) };
    my $rdata = eval { encode_rdata($type, $data // '', $full) } // die "zone $origin: '$line': $@";
    $type = 'SRV' if $type eq 'CSA';
    return { name => $name, type => $type, ttl => $ttl, text => $data, rdata => $rdata };
}

sub _full ($name, $origin) {
    return $origin if $name eq '@';
    return $name =~ s/\.$//r if $name =~ /\.$/;
    return $origin eq '' ? $name : "$name.$origin";
}

# In reverse zones owners stand in the address's order.
sub _full_owner ($name, $origin) {
    return lc _full($name, $origin) if $name =~ /^\@$|\.$/ || $origin !~ /\.(?:in-addr|ip6)\.arpa$/;
    return lc join('.', reverse split /\./, $name) . ".$origin";
}

1;

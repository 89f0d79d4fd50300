# What `run` of supervisor.sh and the first wait for it do, in one program in place of some fifteen: a short script costs
# the target a third of the CPU time so. Only for targets with a Perl, and only the usual case; the files are the same,
# and whatever comes later (poll, stop) is supervisor.sh's.
#
#   perl supervisor.pl DIR BOOT TIMEOUT GRACE NONCE WAIT TICK CHUNK DROP MASK SHELL CHDIR
#
# No module is loaded: some take longer than all else, and Debian's perl-base has few. Without them setsid(2),
# clock_gettime(2) and exit_group(2) go by number, and where those are not known nothing is begun, for supervisor.sh to
# do all of it.

my ($dir, $boot, $timeout, $grace, $nonce, $wait, $tick, $chunk, $drop, $mask, $shell, $chdir) = @ARGV;
my %numbers = ("\x3e\0" => [112, 228, 231], "\xb7\0" => [157, 113, 94]); # by e_machine: x86_64, aarch64
my ($elf, $exe) = '';
open($exe, '<', '/proc/self/exe') && sysread($exe, $elf, 20) == 20 or exit 98;
my ($setsid, $clock_gettime, $exit_group) = @{$numbers{substr $elf, 18} || exit 98};
substr($elf, 4, 2) eq "\2\1" or exit 98; # 64 bit, little-endian
chdir $dir or exit 98;

sub now { # seconds since the epoch, or since some time: of clock 1, which nobody sets
  my $time = "\0" x 16;
  syscall $clock_gettime, $_[0], $time;
  sprintf '%d.%09d', unpack 'qq', $time;
}

sub done { # without Perl's own tidying, which costs each process a fifth of a millisecond
  syscall $exit_group, 0;
  exit;
}

sub nap { select undef, undef, undef, 0.1 }

sub put { # in one write: whoever finds a file not empty finds all of it
  my ($name, $text, $flags) = @_;
  sysopen(my $file, $name, $flags || 01101, 0666) or return 0; # O_WRONLY, O_CREAT, O_TRUNC
  length $text ? syswrite($file, $text) == length $text : 1;
}

sub line { # the first of a file, or nothing
  open my $file, '<', $_[0] or return '';
  my $line = <$file>;
  $line = '' unless defined $line;
  chomp $line;
  $line;
}

sub alive { # alive SESSION FROM: whether a process of it lives, from a pid on
  my ($session, $from) = @_;
  opendir my $proc, '/proc' or return 1;
  for my $pid (grep { /^\d+$/ && $_ >= $from } readdir $proc) {
    return 1 if line("/proc/$pid/stat") =~ /.*\) ([^ZX]) \S+ \S+ (\S+) / && $2 == $session;
  }
  0;
}

sub names { # of the files in a directory that a pattern fits; `glob` would load a module
  my ($where, $pattern) = @_;
  opendir my $files, $where or return ();
  grep { /$pattern/ } readdir $files;
}

sub supervisor { # have supervisor.sh do something
  my $pid = fork;
  defined $pid or return -1;
  return $pid if $pid;
  exec '/bin/sh', "$dir/supervisor", @_;
  exit 127;
}

sub pass { # from a pipe to a file; false at its end, or when it fails
  my ($from, $to, $lost) = @_;
  my $count = sysread $from, my $data, 65536;
  return $! == 4 unless defined $count; # EINTR
  while (length $data) {
    my $written = syswrite $to, $data;
    next if !defined $written && $! == 4;
    $$lost = 1, return 0 unless $written;
    substr($data, 0, $written) = '';
  }
  $count;
}

# Brings what the script prints to files, by way of pipes: a script that opens /dev/stdout anew would truncate a file.
# Ends the script at its deadline, too, even if somebody has killed `run`.
sub keep {
  my ($out, $err, $told, $life) = @_;
  my ($over, $lost, $said, %open) = (0, 0, 0);
  # 02001: O_WRONLY, O_APPEND
  for (['out', $out], ['err', $err]) { sysopen(my $to, $_->[0], 02001) or exit 1; $open{$_->[0]} = [$_->[1], $to] }
  $SIG{$_} = 'IGNORE' for 'HUP', 'INT', 'QUIT', 'USR1';
  $SIG{TERM} = sub { $over = 1 }; # but whoever lives on with a pipe in hand must not lose its reader
  my $deadline = length $timeout ? now(1) + $timeout : 0;
  until ($over && !%open) {
    my $bits = '';
    vec($bits, fileno $_->[0], 1) = 1 for values %open;
    vec($bits, fileno $life, 1) = 1 if $life;
    my $left = $deadline && !$over ? $deadline - now(1) : 3600;
    if ($left <= 0) {
      supervisor('stop', 'timeout');
      $over = 1;
      next;
    }
    next unless select($bits, undef, undef, $left) > 0;
    for my $name (keys %open) {
      next unless vec $bits, fileno $open{$name}[0], 1;
      pass(@{$open{$name}}, \$lost) or close((delete $open{$name})->[0]);
    }
    if ($life && vec $bits, fileno $life, 1) { # `run` has ended
      undef $life;
      $over = 1 unless $deadline;
    }
    $said ||= syswrite $told, $lost ? 'lost' : 'all' unless %open;
  }
  done();
}

sub become { # the script, as `go` does it; comes back where that has to
  my $start = length $chdir ? $chdir : defined $ENV{HOME} && length $ENV{HOME} ? $ENV{HOME} : '/';
  # Other names lead to a PWD that a shell would have to make out, or elsewhere.
  return if $mask !~ /^[0-7]+$/ || $start !~ m{^/} || $start =~ m{//|/\.\.?(/|$)|./$};
  open my $file, '<', 'env' or return;
  my ($exports, %env) = join '', <$file>;
  while ($exports =~ /\Gexport (\w+)='((?:[^']++|'\\'')*+)'\n/gc) { $env{$1} = $2 }
  return if pos $exports != length $exports;
  put('pid', "$$\n") or exit 1;
  exit 143 if -e 'why'; # whoever ends us writes that first, and then looks for `pid`
  chdir $start or return;
  put("$dir/env", '') or exit 1;
  umask oct $mask;
  $ENV{PWD} = $start;
  delete $ENV{OLDPWD};
  for my $name (keys %env) {
    ($ENV{$name} = $env{$name}) =~ s/'\\''/'/g;
  }
  { exec $shell, "$dir/script" }
  exec '/bin/sh', '-c', 'exec "$0" "$1"', $shell, "$dir/script"; # says why not, and with which status
}

sub run {
  my ($wake) = @_;
  syscall $setsid;
  $SIG{$_} = sub { } for 'HUP', 'INT', 'QUIT', 'USR1', 'PIPE'; # ignored ones would be for the script, too
  open STDIN, '<', '/dev/null';
  open STDOUT, '>', '/dev/null';
  open STDERR, '>', '/dev/null';
  pipe(my $out, my $to_out) && pipe(my $err, my $to_err) && pipe(my $told, my $tell) && pipe(my $life, my $lives) or exit 1;
  put('sup', "$$\n") or exit 1;
  my $keeper = fork;
  defined $keeper or exit 1;
  if (!$keeper) {
    close $_ for $wake, $to_out, $to_err, $told, $lives;
    keep($out, $err, $tell, $life);
  }
  close $_ for $out, $err, $tell, $life;
  my $begin = now(0);
  put('begin', "$begin\n");
  put('room', '0' x 4096); # given up for the result, should the script's output fill the disk
  my $script = fork;
  defined $script or exit 1;
  if (!$script) {
    syscall $setsid;
    open STDOUT, '>&', $to_out;
    open STDERR, '>&', $to_err;
    become();
    exec '/bin/sh', './go', 'here';
    exit 127;
  }
  close $_ for $to_out, $to_err;
  waitpid $script, 0;
  my ($status, $end) = ($?, now(0));
  # It ended by itself, unless there is a reason already: one that comes now is too late. 0301: O_WRONLY, O_CREAT, O_EXCL
  if (!put('why', '', 0301) && -s 'why') {
    for (1 .. $grace * 10 + 30) { last if -e 'stopped'; nap() }
    $end = now(0);
  } elsif (my $session = line('pid')) {
    # After a short script its pid is the lowest of the session; a full look at /proc costs some ms.
    waitpid supervisor('end'), 0 if alive($session, $end - $begin < 5 ? $session : 0);
  }
  # All has been read when nobody has the pipes any more, or else after 2 s.
  my ($said, $until) = ('all', now(1) + 2);
  while ((my $left = $until - now(1)) > 0) {
    vec(my $bits = '', fileno $told, 1) = 1;
    next unless select($bits, undef, undef, $left) > 0;
    sysread $told, $said, 9;
    last;
  }
  kill 'TERM', $keeper;
  my $why = $said eq 'all' ? line('why') : 'output';
  my $signal = $status & 127;
  put('room', '');
  put('result', sprintf qq(rc=%s\nsig=%s\nwhy=%s\nbegin=%s\nend=%s\nleft="%.3500s"\n),
    $signal ? 128 + $signal : $status >> 8, $signal ? 1 : 0, $why, $begin, $end, line('left'));
  syswrite $wake, "\n";
  for (names('.', '^w\.\d+$')) { # a waiter may have been killed, and its pid be somebody else's by now
    my $pid = substr $_, 2;
    kill 'USR1', $pid if line("/proc/$pid/cmdline") =~ m{\Q$dir\E/supervisor};
  }
  my ($base) = $dir =~ m{^(.*/)};
  supervisor('sweep') if grep { (-M "$base$_/conf" || 0) > 1 } names($base, '^ansible_env\.');
  done();
}

sub reply { # as `poll` of supervisor.sh would; false where that has to do it
  my %told = ("\n" . (join '', do { open my $file, '<', 'result' or return 0; <$file> })) =~ /\n(\w+)="?([^"\n]*)/g;
  my $text = '';
  my @sizes = (-s 'out' || 0, -s 'err' || 0);
  return 0 if $sizes[0] > $chunk || $sizes[1] > $chunk;
  for (0, 1) {
    open my $file, '<', ('out', 'err')[$_] or return 0;
    $sizes[$_] == 0 || sysread($file, $text, $sizes[$_], length $text) == $sizes[$_] or return 0;
  }
  $drop = 0 if -e 'keep';
  my $left = join '', map { ",$_" } split ' ', $told{left};
  $text = "ansible_env:$nonce state=done rc=$told{rc} sig=$told{sig} why=$told{why} begin=$told{begin} end=$told{end}"
    . " boot=$boot left=$left more=0 drop=$drop out=$sizes[0] err=$sizes[1]\n" . $text;
  while (length $text) {
    my $written = syswrite STDOUT, $text or exit 1;
    substr($text, 0, $written) = '';
  }
  if ($drop) {
    for (1 .. 3) { # should a poll come at this moment, it makes `keep`
      unlink names('.', '^[^.]');
      last if rmdir $dir;
    }
  }
  1;
}

pipe(my $ended, my $wake) or exit 98;
put('begun', '') or exit 98; # from here on, nobody may start it a second time
my $run = fork;
defined $run or unlink('begun'), exit 98;
if (!$run) {
  close $ended;
  run($wake);
}
close $wake;
my $bits = '';
vec($bits, fileno $ended, 1) = 1;
select $bits, undef, undef, 1 if $wait > 0; # what takes longer is followed as usual
done() if -s 'result' && reply();
# A later round trip that finds no `sup` takes the run for gone; on a busy target, `run` may not have got that far.
for (1 .. 50) { last if -s 'sup'; nap() }
my $news = $wait <= 0 || -s 'out' || -s 'err';
exec '/bin/sh', "$dir/supervisor", 'poll', $nonce, 0, 0, $news ? 0 : $wait - 1, $tick, $chunk, 0;

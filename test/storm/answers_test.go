package storm

import (
	"testing"
	"time"
)

const ms = time.Millisecond

// usual are answers, ten milliseconds apart, each after 5 ms.
func usual(from, until time.Duration) []answer {
	var all []answer
	for at := from; at < until; at += 10 * ms {
		all = append(all, answer{at: epoch.Add(at), took: 5 * ms})
	}
	return all
}

var epoch = time.Unix(1_700_000_000, 0)

func TestRecovery(t *testing.T) {
	at := func(d time.Duration, took time.Duration, reason string) answer {
		return answer{at: epoch.Add(d), took: took, reason: reason}
	}
	const end = 100 * ms // of the fault, which began at 0
	for name, c := range map[string]struct {
		answers []answer
		want    time.Duration
	}{
		"nothing was wrong":                 {usual(0, 3*time.Second), 0},
		"no answer at all":                  {nil, 0},
		"refusals only while it lasted":     {append([]answer{at(20*ms, ms, "kafka_unavailable")}, usual(110*ms, time.Second)...), 0},
		"a refusal later":                   {append([]answer{at(130*ms, ms, "kafka_unavailable")}, usual(140*ms, time.Second)...), 30 * ms},
		"a slow answer later":               {append(append(usual(100*ms, 300*ms), at(300*ms, 290*ms, "")), usual(310*ms, time.Second)...), 200 * ms},
		"nothing accepted for a while":      {usual(450*ms, time.Second), 350 * ms},
		"only senders that hung up":         {append([]answer{at(300*ms, 0, noAnswer)}, usual(100*ms, time.Second)...), 0},
		"one trouble after the other":       {append(append(usual(100*ms, 400*ms), at(400*ms, ms, "draining")), append(usual(410*ms, 800*ms), append([]answer{at(800*ms, ms, "draining")}, usual(810*ms, 2*time.Second)...)...)...), 700 * ms},
		"another story a second later":      {append(usual(100*ms, 1100*ms), append([]answer{at(1100*ms, ms, "overloaded")}, usual(1110*ms, 2*time.Second)...)...), 0},
		"a pause a second later":            {append(usual(100*ms, 1100*ms), usual(1400*ms, 2*time.Second)...), 0},
		"a pause that the trouble began":    {append([]answer{at(150*ms, ms, "overloaded")}, usual(900*ms, 2*time.Second)...), 800 * ms},
		"refused until the next fault came": {[]answer{at(150*ms, ms, "overloaded"), at(500*ms, ms, "overloaded"), at(900*ms, ms, "overloaded")}, 800 * ms},
	} {
		if got := recovery(c.answers, epoch.Add(end), 100*ms); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

// TestWindows: a fault has the answers until the next one begins, and its own
// length.
func TestWindows(t *testing.T) {
	times := &times{start: epoch, answers: usual(0, 4*time.Second), marks: []mark{
		{epoch.Add(1 * time.Second), "leaders move"},
		{epoch.Add(2 * time.Second), "the brokers hang"},
		{epoch.Add(2500 * ms), "end: the brokers hang"},
	}}
	for i := range times.answers { // what was sent in the hang is answered 20 ms after it
		if a := &times.answers[i]; a.at.After(epoch.Add(2*time.Second)) && a.at.Before(epoch.Add(2500*ms)) {
			sent := a.at.Add(-a.took)
			a.at = epoch.Add(2520 * ms)
			a.took = a.at.Sub(sent)
		}
	}
	all := times.windows()
	if len(all) != 2 {
		t.Fatalf("%+v", all)
	}
	first, second := all[0], all[1]
	if first.Fault != "leaders move" || first.Lasted != 0 || first.Answers != 100 || first.Max != 5*ms || first.Recovery != 0 {
		t.Errorf("%+v", first)
	}
	if second.At != 2*time.Second || second.Lasted != 500*ms || second.Answers != 200 || second.Recovery != 20*ms {
		t.Errorf("%+v", second)
	}
	if c := second.Caught; c.Answers < 49 || c.Answers > 51 || c.P50 != 20*ms || c.Max != 20*ms {
		t.Errorf("%+v", c)
	}
}

func TestSpread(t *testing.T) {
	var all []time.Duration
	for n := range 200 {
		all = append(all, time.Duration(200-n)*ms)
	}
	if got, want := spread(all), (Spread{200, 101 * ms, 199 * ms, 200 * ms}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	if got := spread(nil); got != (Spread{}) {
		t.Errorf("%+v", got)
	}
}

// usage makes samples, two a second, whose RSS in MiB a function of the
// minute and of the sample tells.
func usage(length int, rss func(minute, n int) int) []Sample {
	var all []Sample
	for n := range length * 120 {
		all = append(all, Sample{At: epoch.Add(time.Duration(n) * 500 * ms), PID: 7, RSS: int64(rss(n/120, n)) << 20, Goroutines: 100})
	}
	return all
}

func TestNotFlat(t *testing.T) {
	saw := func(_, n int) int { return 60 + n%20 } // garbage, collected every ten seconds
	for name, c := range map[string]struct {
		samples []Sample
		grows   int
	}{
		"flat":                            {usage(30, saw), 0},
		"warm after two minutes":          {usage(30, func(m, n int) int { return min(40+20*m, 80) + n%5 }), 0},
		"high in the first minute only":   {usage(30, func(m, n int) int { return max(300-300*m, saw(m, n)) }), 0},
		"warm after a quarter of an hour": {usage(60, func(m, n int) int { return 55 + min(m, 15) + n%15 }), 0},
		"a mebibyte a minute":             {usage(30, func(m, n int) int { return saw(m, n) + m }), 1},
		"half of one, for an hour":        {usage(60, func(m, n int) int { return saw(m, n) + m/2 }), 2},
		"two mebibytes a minute":          {usage(30, func(m, n int) int { return saw(m, n) + 2*m }), 2},
		"one minute that is much higher":  {usage(30, func(m, n int) int { return saw(m, n) + 30*(m/20) - 30*(m/21) }), 1},
		"one minute that is a bit higher": {usage(30, func(m, n int) int { return saw(m, n) + 20*(m/20) - 20*(m/21) }), 0},
		"too short to say":                {usage(9, func(m, n int) int { return saw(m, n) + 10*m }), 0},
		"another process":                 {append(usage(15, saw), Sample{At: epoch.Add(20 * time.Minute), PID: 8, RSS: 1 << 30}), 0},
		"none":                            {nil, 0},
	} {
		if got := notFlat(c.samples); len(got) != c.grows {
			t.Errorf("%s: %q", name, got)
		}
	}
}

func TestMinutes(t *testing.T) {
	all := minutes(append(usage(2, func(m, n int) int { return 10*m + n%3 }), Sample{At: epoch.Add(4 * time.Minute), RSS: 5}))
	want := []int64{2 << 20, 12 << 20, 0, 0, 5}
	if len(all) != len(want) {
		t.Fatalf("%v", all)
	}
	for i := range want {
		if all[i] != want[i] {
			t.Errorf("%v, want %v", all, want)
		}
	}
}

func TestGrowing(t *testing.T) {
	hang := func(length time.Duration) []Window {
		return []Window{{Fault: "leaders move"}, {Fault: "the brokers hang", At: 10 * time.Second, Lasted: length}}
	}
	plateau := func(n int) int { return min(100+100*n, 900) } // all connections wait
	for name, c := range map[string]struct {
		faults     []Window
		goroutines func(n int) int
		grows      int
	}{
		"as many as connections":  {hang(60 * time.Second), plateau, 0},
		"one each half second":    {hang(60 * time.Second), func(n int) int { return plateau(n) + 5*n }, 1},
		"a short fault":           {hang(5 * time.Second), func(n int) int { return 100 * n }, 0},
		"growth after it":         {hang(20 * time.Second), func(n int) int { return 100 + max(0, n-60)*100 }, 0},
		"less in its second half": {hang(60 * time.Second), func(n int) int { return 2000 - 10*n }, 0},
	} {
		r := &Report{Start: epoch, Faults: c.faults, Samples: usage(2, func(int, int) int { return 60 })}
		for n := range r.Samples {
			r.Samples[n].Goroutines = c.goroutines(n)
		}
		if got := growing(r); len(got) != c.grows {
			t.Errorf("%s: %q", name, got)
		}
	}
}

package devkit_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/cxrelay/cxrelay/internal/devkit"
)

func mustTraffic(t testing.TB, o devkit.TrafficOptions) *devkit.Traffic {
	t.Helper()
	tr, err := devkit.NewTraffic(o)
	if err != nil {
		t.Fatal(err)
	}
	return tr
}

// TestTrafficIsRealistic holds 4000 events to what the development schema
// asks for and to what TrafficOptions promises.
func TestTrafficIsRealistic(t *testing.T) {
	var (
		uuid   = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)
		digits = regexp.MustCompile(`^[0-9]{12}$`)
		e164   = regexp.MustCompile(`^\+[1-9][0-9]{6,14}$`)
	)
	seen := map[string]bool{}
	perType := map[string]int{}
	nonASCII, smallest, largest := 0, 1<<30, 0
	for e := range mustTraffic(t, devkit.TrafficOptions{Seed: 1}).Events(4000) {
		var body struct {
			EventID, ActionType, EventTime, ContactID, MasterContactID, Ani, Dnis string
			AgentID                                                               int
		}
		if err := json.Unmarshal(e.Body, &body); err != nil {
			t.Fatalf("%v in %s", err, e.Body)
		}
		if body.EventID != e.ID || body.ActionType != e.Type || body.ContactID != e.Contact {
			t.Errorf("the facts %q %q %q are not those of %s", e.ID, e.Type, e.Contact, e.Body)
		}
		if seen[e.ID] || !uuid.MatchString(e.ID) {
			t.Errorf("eventId %q is a repeat or no UUID", e.ID)
		}
		if !digits.MatchString(body.ContactID) || !digits.MatchString(body.MasterContactID) || body.AgentID < 1 {
			t.Errorf("contact %q, master %q, agent %d", body.ContactID, body.MasterContactID, body.AgentID)
		}
		if !e164.MatchString(body.Ani) || !e164.MatchString(body.Dnis) {
			t.Errorf("ani %q, dnis %q: not E.164", body.Ani, body.Dnis)
		}
		if _, err := time.Parse(time.RFC3339Nano, body.EventTime); err != nil {
			t.Error(err)
		}
		if !utf8.Valid(e.Body) {
			t.Errorf("not UTF-8: %q", e.Body)
		}
		seen[e.ID] = true
		perType[e.Type]++
		smallest, largest = min(smallest, len(e.Body)), max(largest, len(e.Body))
		if len(e.Body) != utf8.RuneCount(e.Body) {
			nonASCII++
		}
	}
	for _, kind := range devkit.EventTypes() {
		if perType[kind] != 1000 {
			t.Errorf("%d events of type %s, want 1000", perType[kind], kind)
		}
	}
	if smallest < 400 || largest > 1500 {
		t.Errorf("sizes %d to %d, want 400 to 1500", smallest, largest)
	}
	if nonASCII < 2000 {
		t.Errorf("only %d of 4000 events have non-ASCII text", nonASCII)
	}
}

// TestTrafficFitsTheDevSchema asks an engine of its own.
func TestTrafficFitsTheDevSchema(t *testing.T) {
	text, err := jsonschema.UnmarshalJSON(strings.NewReader(devkit.DevSchema))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("dev.json", text); err != nil {
		t.Fatal(err)
	}
	schema, err := c.Compile("dev.json")
	if err != nil {
		t.Fatal(err)
	}
	check := func(body []byte) error {
		v, err := jsonschema.UnmarshalJSON(bytes.NewReader(body))
		if err != nil {
			return err
		}
		return schema.Validate(v)
	}
	for e := range mustTraffic(t, devkit.TrafficOptions{Seed: 9}).Events(1000) {
		if err := check(e.Body); err != nil {
			t.Errorf("%v\n%s", err, e.Body)
		}
	}
	if check([]byte(`{"actionType":"X","contactId":"1","agentId":0}`)) == nil {
		t.Error("the schema accepts agent 0: this test proves nothing")
	}
}

func TestTrafficIsDeterministic(t *testing.T) {
	all := func(seed uint64) []byte {
		var out bytes.Buffer
		for e := range mustTraffic(t, devkit.TrafficOptions{Seed: seed, Contacts: 7}).Events(300) {
			out.Write(e.Body)
		}
		return out.Bytes()
	}
	if !bytes.Equal(all(3), all(3)) {
		t.Error("the same seed gave other events")
	}
	if bytes.Equal(all(3), all(4)) {
		t.Error("another seed gave the same events")
	}
}

// TestTrafficLivesInOrder checks that every contact is created first, that
// its clock never goes back, and that its disconnect comes before its
// disposition.
func TestTrafficLivesInOrder(t *testing.T) {
	for _, contacts := range []int{0, 1, 20} {
		t.Run(fmt.Sprint(contacts), func(t *testing.T) {
			types := map[string][]string{}
			times := map[string]string{}
			for e := range mustTraffic(t, devkit.TrafficOptions{Seed: 5, Contacts: contacts}).Events(1600) {
				var body struct{ EventTime string }
				if err := json.Unmarshal(e.Body, &body); err != nil {
					t.Fatal(err)
				}
				if e.Type != devkit.InteractionCreated && body.EventTime <= times[e.Contact] {
					t.Errorf("contact %s: %s at %s, after %s", e.Contact, e.Type, body.EventTime, times[e.Contact])
				}
				times[e.Contact] = body.EventTime
				types[e.Contact] = append(types[e.Contact], e.Type)
			}
			if contacts > 0 && len(types) != contacts {
				t.Errorf("%d contacts, want %d", len(types), contacts)
			}
			for contact, got := range types {
				for i, kind := range got {
					if want := devkit.EventTypes()[i%4]; kind != want {
						t.Fatalf("contact %s: event %d is %s, want %s", contact, i, kind, want)
					}
				}
			}
		})
	}
}

func TestTrafficOptions(t *testing.T) {
	set := func(s string) []devkit.Override {
		o, err := devkit.ParseOverride(s)
		if err != nil {
			t.Fatal(err)
		}
		return []devkit.Override{o}
	}
	tests := []struct {
		name  string
		opts  devkit.TrafficOptions
		check func(e devkit.Event) bool
	}{
		{"one type", devkit.TrafficOptions{Types: []string{devkit.QueueTransfer}}, func(e devkit.Event) bool { return e.Type == devkit.QueueTransfer }},
		{"fixed contact", devkit.TrafficOptions{Contact: new("c-1")}, func(e devkit.Event) bool { return e.Contact == "c-1" }},
		{"empty contact", devkit.TrafficOptions{Contact: new("")}, func(e devkit.Event) bool {
			return e.Contact == "" && bytes.Contains(e.Body, []byte(`"contactId":"",`))
		}},
		{"set reaches the facts", devkit.TrafficOptions{Set: set("contactId=900719925474010002")}, func(e devkit.Event) bool {
			return e.Contact == "900719925474010002" && bytes.Contains(e.Body, []byte(`"contactId":900719925474010002,`))
		}},
		{"body as it is", devkit.TrafficOptions{Body: []byte(" {\"contactId\" : 1.0}\n")}, func(e devkit.Event) bool {
			return string(e.Body) == " {\"contactId\" : 1.0}\n" && e.Contact == "1.0" && e.Type == ""
		}},
		{"body that is no object", devkit.TrafficOptions{Body: []byte("nonsense")}, func(e devkit.Event) bool { return string(e.Body) == "nonsense" && e.Contact == "" }},
		{"empty body", devkit.TrafficOptions{Body: []byte{}}, func(e devkit.Event) bool { return len(e.Body) == 0 }},
		{"body and set", devkit.TrafficOptions{Body: []byte(`{"a": 1e3 }`), Set: set("b=x")}, func(e devkit.Event) bool { return string(e.Body) == `{"a":1e3,"b":"x"}` }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for e := range mustTraffic(t, tt.opts).Events(9) {
				if !tt.check(e) {
					t.Errorf("unexpected event %+v: %s", e, e.Body)
				}
			}
		})
	}
	for _, bad := range []devkit.TrafficOptions{
		{Types: []string{"NO_SUCH"}}, {Contacts: -1}, {Body: []byte("[]"), Set: set("a=1")},
	} {
		if _, err := devkit.NewTraffic(bad); err == nil {
			t.Errorf("NewTraffic(%+v) gave no error", bad)
		}
	}
}

func TestOverride(t *testing.T) {
	const body = `{"n":1.50,"o":{"x":9007199254740993,"<":"\u00e9"},"s":"t"}`
	tests := []struct{ set, want string }{
		{"n=2", `{"n":2,"o":{"x":9007199254740993,"<":"\u00e9"},"s":"t"}`},
		{"n=1.000", `{"n":1.000,"o":{"x":9007199254740993,"<":"\u00e9"},"s":"t"}`},
		{"s=null", `{"n":1.50,"o":{"x":9007199254740993,"<":"\u00e9"},"s":null}`},
		{`s="1"`, `{"n":1.50,"o":{"x":9007199254740993,"<":"\u00e9"},"s":"1"}`},
		{"s=a=b <c>", `{"n":1.50,"o":{"x":9007199254740993,"<":"\u00e9"},"s":"a=b <c>"}`},
		{"s=", `{"n":1.50,"o":{"x":9007199254740993,"<":"\u00e9"},"s":""}`},
		{"o.x=[1, 2.0]", `{"n":1.50,"o":{"x":[1, 2.0],"<":"\u00e9"},"s":"t"}`},
		{"o.y.z=true", `{"n":1.50,"o":{"x":9007199254740993,"<":"\u00e9","y":{"z":true}},"s":"t"}`},
		{`a\.b.c\\=1`, `{"n":1.50,"o":{"x":9007199254740993,"<":"\u00e9"},"s":"t","a.b":{"c\\":1}}`},
	}
	for _, tt := range tests {
		o, err := devkit.ParseOverride(tt.set)
		if err != nil {
			t.Errorf("%s: %v", tt.set, err)
			continue
		}
		got, err := o.Apply([]byte(body))
		if err != nil || string(got) != tt.want {
			t.Errorf("%s: %v\ngot  %s\nwant %s", tt.set, err, got, tt.want)
		}
	}
	// Another body for what is inside arrays and for what is refused.
	const list = `{"t":[1.0, {"x":"\u00e9"} ,[]],"e":[ ],"s":"t","n":1,"b":true,"z":null}`
	for set, want := range map[string]string{
		"t.0=2":      `{"t":[2,{"x":"\u00e9"},[]],"e":[ ],"s":"t","n":1,"b":true,"z":null}`,
		"t.1.y=2":    `{"t":[1.0,{"x":"\u00e9","y":2},[]],"e":[ ],"s":"t","n":1,"b":true,"z":null}`,
		"t.2.0.a=2":  `{"t":[1.0,{"x":"\u00e9"},[{"a":2}]],"e":[ ],"s":"t","n":1,"b":true,"z":null}`,
		"t.3=2":      `{"t":[1.0,{"x":"\u00e9"},[],2],"e":[ ],"s":"t","n":1,"b":true,"z":null}`,
		"e.0=":       `{"t":[1.0, {"x":"\u00e9"} ,[]],"e":[""],"s":"t","n":1,"b":true,"z":null}`,
		"z=1":        `{"t":[1.0, {"x":"\u00e9"} ,[]],"e":[ ],"s":"t","n":1,"b":true,"z":1}`,
		"t.4=2":      `t is an array of 3: want an index from 0 to 3, not "4"`,
		"t.-1=2":     `t is an array of 3: want an index from 0 to 3, not "-1"`,
		"t.00=2":     `t is an array of 3: want an index from 0 to 3, not "00"`,
		"t.x=2":      `t is an array of 3: want an index from 0 to 3, not "x"`,
		"t.2.1=2":    `t.2 is an array of 0: want an index from 0 to 0, not "1"`,
		"t.0.a=2":    `t.0 is a number, which has no members`,
		"t.1.x.a=2":  `t.1.x is a string, which has no members`,
		"s.a.b=2":    `s is a string, which has no members`,
		"n.0=2":      `n is a number, which has no members`,
		"b.a=2":      `b is true, which has no members`,
		"z.a=2":      `z is null, which has no members`,
		"new.0.x=42": `{"t":[1.0, {"x":"\u00e9"} ,[]],"e":[ ],"s":"t","n":1,"b":true,"z":null,"new":{"0":{"x":42}}}`,
	} {
		o, err := devkit.ParseOverride(set)
		if err != nil {
			t.Fatal(err)
		}
		got, err := o.Apply([]byte(list))
		if err != nil {
			got = []byte(err.Error())
		}
		if string(got) != want {
			t.Errorf("%s:\ngot  %s\nwant %s", set, got, want)
		}
	}
	for _, bad := range []string{"", "a", "=1", "a..b=1", ".a=1", `a\x=1`, `a\=1`} {
		if _, err := devkit.ParseOverride(bad); err == nil {
			t.Errorf("ParseOverride(%q) gave no error", bad)
		}
	}
	for _, bad := range []string{"", "1", "[]", `{"a":1`, `{"a":1} x`, `{"a":01}`} {
		o, _ := devkit.ParseOverride("a=1")
		if got, err := o.Apply([]byte(bad)); err == nil {
			t.Errorf("Apply to %q gave %s and no error", bad, got)
		}
	}
}

// TestSetIsTriedOnEverySample: what NewTraffic takes, no sample refuses, and
// what one sample would refuse, NewTraffic does.
func TestSetIsTriedOnEverySample(t *testing.T) {
	for set, want := range map[string]string{
		"tags.0=x":        "",
		"ivrPath.2=x":     "",
		"skill.id=x":      "",
		"new.deep=x":      "",
		"agentName.x=1":   "set agentName.x: agentName is a string, which has no members (in a sample of INTERACTION_CREATED)",
		"tags.1=x":        `set tags.1: tags is an array of 0: want an index from 0 to 0, not "1" (in a sample of DISPOSITION_UPDATED)`,
		"ivrPath.3=x":     `set ivrPath.3: ivrPath is an array of 2: want an index from 0 to 2, not "3" (in a sample of INTERACTION_CREATED)`,
		"recordingId.x=1": " (in a sample of CALL_DISCONNECTED)",
		"callbackAt.x=1":  " (in a sample of DISPOSITION_UPDATED)",
	} {
		o, err := devkit.ParseOverride(set)
		if err != nil {
			t.Fatal(err)
		}
		tr, err := devkit.NewTraffic(devkit.TrafficOptions{Set: []devkit.Override{o}, Seed: 11})
		if err != nil {
			if want == "" || !strings.HasSuffix(err.Error(), want) {
				t.Errorf("%s: %v, want %s", set, err, want)
			}
			continue
		}
		if want != "" {
			t.Errorf("%s was taken, want %s", set, want)
			continue
		}
		for range 1000 {
			tr.Next() // panics when a sample refuses it
		}
	}
}

// FuzzOverride: what was set can be read back, every other member keeps its
// bytes and its place, and setting it again changes nothing.
func FuzzOverride(f *testing.F) {
	f.Add(`{"a":1,"b":{"c":2.50}}`, "b", "9007199254740993")
	f.Add(`{}`, "x", "text")
	f.Add(`{"é":[1, 2]}`, "é", `{"y": 1e2}`)
	f.Fuzz(func(t *testing.T, body, name, text string) {
		escaped := strings.NewReplacer(`\`, `\\`, ".", `\.`).Replace(name)
		o, err := devkit.ParseOverride(escaped + "=" + text)
		if err != nil || strings.Contains(name, "=") {
			t.Skip()
		}
		before, isObject := topLevel(body)
		got, err := o.Apply([]byte(body))
		if (err == nil) != isObject {
			t.Fatalf("Apply to %s: error %v", body, err)
		}
		if err != nil {
			return
		}
		if again, err := o.Apply(got); err != nil || !bytes.Equal(again, got) {
			t.Fatalf("setting it again changed %s to %s (%v)", got, again, err)
		}
		want := strings.TrimSpace(text)
		if !json.Valid([]byte(want)) {
			quoted, _ := json.Marshal(text)
			want = string(quoted)
		}
		i := slices.IndexFunc(before, func(m [2]string) bool { return m[0] == name })
		if i < 0 {
			before, i = append(before, [2]string{name}), len(before)
		}
		before[i][1] = want
		after, _ := topLevel(string(got))
		equal := slices.EqualFunc(before, after, func(b, a [2]string) bool {
			return b[0] == a[0] && (b[1] == a[1] || sameString(b[1], a[1]))
		})
		if !equal {
			t.Fatalf("%s with %s=%s became %s", body, name, text, got)
		}
	})
}

// sameString tells whether two literals are the same string, differently escaped.
func sameString(a, b string) bool {
	var x, y string
	return json.Unmarshal([]byte(a), &x) == nil && json.Unmarshal([]byte(b), &y) == nil && x == y
}

// topLevel gives the members of an object, in order, each as name and literal.
func topLevel(body string) (members [][2]string, isObject bool) {
	var any json.RawMessage
	if json.Unmarshal([]byte(body), &any) != nil || any[0] != '{' {
		return nil, false
	}
	dec := json.NewDecoder(strings.NewReader(body))
	_, _ = dec.Token()
	for dec.More() {
		name, _ := dec.Token()
		var value json.RawMessage
		_ = dec.Decode(&value)
		members = append(members, [2]string{name.(string), string(value)})
	}
	return members, true
}

func BenchmarkTraffic(b *testing.B) {
	tr := mustTraffic(b, devkit.TrafficOptions{Seed: 1, Contacts: 1000})
	b.ReportAllocs()
	size := 0
	for b.Loop() {
		size += len(tr.Next().Body)
	}
	b.SetBytes(int64(size / b.N))
}

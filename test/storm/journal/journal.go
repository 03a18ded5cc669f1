// Package journal is the file in which the storm's senders write down what
// they do: each attempt before it is sent and after its answer. It is what
// the judge believes, so it holds nothing that the relay said but status and
// reason.
//
// A file is text, one entry a line, fields separated by tabs:
//
//	E event contact type topic sha256   an event comes into being; its id follows if it is not ID(event)
//	S event attempt time                an attempt is about to be sent
//	A event attempt time status reason took
//	X name time status reason took      an attack was answered, or not
//	F name time status reason took due  so was one that may have this status only
//	M time what                         a fault begins or ends
//
// Events are numbered from 0 in the order of their lines. Times are
// nanoseconds since 1970 by a clock that nobody sets meanwhile, took is
// nanoseconds from the last byte of the request to the last of the answer,
// status 0 is no answer, and its reason what the sender met instead. An empty
// reason is a minus. In texts a tab, a line feed, a carriage return and a
// backslash are written as in Go.
package journal

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Event is what its sender signed.
type Event struct {
	Number  int
	Own     string // the event id, where it is not that of the number
	Contact string
	Type    string
	Topic   string // where it must arrive
	SHA256  string // of the body, 64 hex digits
}

// ID is the event id that the record must carry.
func (e Event) ID() string {
	if e.Own != "" {
		return e.Own
	}
	return ID(e.Number)
}

// ID is the event id of the n-th event.
func ID(n int) string { return "storm-" + strconv.Itoa(n) }

// Number is the inverse of ID.
func Number(id string) (int, bool) {
	digits, ok := strings.CutPrefix(id, "storm-")
	n, err := strconv.Atoi(digits)
	return n, ok && err == nil && n >= 0 && ID(n) == id
}

// Answer is how an attempt ended.
type Answer struct {
	Status int // 0: none
	Reason string
	Took   time.Duration
}

// Writer writes a journal. Safe for concurrent use. Errors are kept and
// returned by Close: a run whose journal is not whole does not count.
type Writer struct {
	began time.Time

	mu   sync.Mutex
	file *os.File
	out  *bufio.Writer
	line []byte
	next int
	err  error
}

// Create starts a journal; an existing file is an error.
func Create(path string) (*Writer, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("create journal: %w", err)
	}
	return &Writer{began: time.Now(), file: f, out: bufio.NewWriterSize(f, 1<<16)}, nil
}

// Event gives e its number, lets sign make its body's hash from that, and
// writes it down.
func (w *Writer) Event(e Event, sign func(number int) (sha256 string)) Event {
	w.mu.Lock()
	defer w.mu.Unlock()
	e.Number = w.next
	w.next++
	e.SHA256 = sign(e.Number)
	if e.Own == "" {
		w.write('E', e.Number, e.Contact, e.Type, e.Topic, e.SHA256)
	} else {
		w.write('E', e.Number, e.Contact, e.Type, e.Topic, e.SHA256, e.Own)
	}
	return e
}

// Send writes that an attempt is about to be sent.
func (w *Writer) Send(event, attempt int, at time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.write('S', event, attempt, at)
}

// Answer writes how an attempt ended.
func (w *Writer) Answer(event, attempt int, at time.Time, a Answer) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.write('A', event, attempt, at, a.Status, dash(a.Reason), int64(a.Took))
}

// Attack writes how an attack ended.
func (w *Writer) Attack(name string, at time.Time, a Answer) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.write('X', name, at, a.Status, dash(a.Reason), int64(a.Took))
}

// Due writes how an attack ended to which only one status is a right answer.
func (w *Writer) Due(name string, at time.Time, a Answer, due int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.write('F', name, at, a.Status, dash(a.Reason), int64(a.Took), due)
}

// Mark writes that a fault begins or ends.
func (w *Writer) Mark(at time.Time, what string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.write('M', at, what)
}

// Close writes what is left, and returns the first error of all.
func (w *Writer) Close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	err := errors.Join(w.err, w.out.Flush(), w.file.Close())
	if err != nil {
		return fmt.Errorf("write journal: %w", err)
	}
	return nil
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func (w *Writer) write(kind byte, fields ...any) {
	w.line = append(w.line[:0], kind)
	for _, f := range fields {
		w.line = append(w.line, '\t')
		switch f := f.(type) {
		case int:
			w.line = strconv.AppendInt(w.line, int64(f), 10)
		case int64:
			w.line = strconv.AppendInt(w.line, f, 10)
		case time.Time:
			w.line = strconv.AppendInt(w.line, w.began.Add(f.Sub(w.began)).UnixNano(), 10)
		case string:
			w.line = append(w.line, escape(f)...)
		}
	}
	w.line = append(w.line, '\n')
	if _, err := w.out.Write(w.line); w.err == nil {
		w.err = err
	}
}

// escape keeps a field a field.
func escape(s string) string {
	if !strings.ContainsAny(s, "\t\n\r\\") {
		return s
	}
	return strings.NewReplacer("\\", `\\`, "\t", `\t`, "\n", `\n`, "\r", `\r`).Replace(s)
}

func unescape(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	return strings.NewReplacer(`\\`, "\\", `\t`, "\t", `\n`, "\n", `\r`, "\r").Replace(s)
}

// Entry is one line.
type Entry struct {
	Kind    byte  // E, S, A, X, F or M
	Event   Event // of E whole, of S and A its number
	Attempt int
	At      time.Time
	Answer  Answer
	Name    string // of an attack or a mark
	Due     int    // status, of F
}

// Read calls visit for each entry, in order, and stops at its first error.
func Read(from io.Reader, visit func(Entry) error) error {
	lines := bufio.NewScanner(from)
	lines.Buffer(make([]byte, 0, 1<<16), 1<<20)
	for n := 1; lines.Scan(); n++ {
		e, err := parse(lines.Text())
		if err == nil {
			err = visit(e)
		}
		if err != nil {
			return fmt.Errorf("journal line %d: %w", n, err)
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("read journal: %w", err)
	}
	return nil
}

func parse(line string) (Entry, error) {
	f := fields{rest: strings.Split(line, "\t")}
	kind := f.text()
	if len(kind) != 1 {
		return Entry{}, fmt.Errorf("kind %q", kind)
	}
	e := Entry{Kind: kind[0]}
	switch e.Kind {
	case 'E':
		e.Event = Event{Number: int(f.number()), Contact: f.text(), Type: f.text(), Topic: f.text(), SHA256: f.text()}
		if len(f.rest) > 0 {
			e.Event.Own = f.text()
		}
	case 'S':
		e.Event.Number, e.Attempt, e.At = int(f.number()), int(f.number()), f.time()
	case 'A':
		e.Event.Number, e.Attempt, e.At, e.Answer = int(f.number()), int(f.number()), f.time(), f.answer()
	case 'X':
		e.Name, e.At, e.Answer = f.text(), f.time(), f.answer()
	case 'F':
		e.Name, e.At, e.Answer, e.Due = f.text(), f.time(), f.answer(), int(f.number())
	case 'M':
		e.At, e.Name = f.time(), f.text()
	default:
		return Entry{}, fmt.Errorf("kind %q", kind)
	}
	if f.err == nil && len(f.rest) > 0 {
		f.err = fmt.Errorf("%d fields too many", len(f.rest))
	}
	return e, f.err
}

// fields takes a line apart; the first fault stays.
type fields struct {
	rest []string
	err  error
}

func (f *fields) text() string {
	if len(f.rest) == 0 {
		if f.err == nil {
			f.err = errors.New("fields are missing")
		}
		return ""
	}
	s := f.rest[0]
	f.rest = f.rest[1:]
	return unescape(s)
}

func (f *fields) number() int64 {
	n, err := strconv.ParseInt(f.text(), 10, 64)
	if f.err == nil {
		f.err = err
	}
	return n
}

func (f *fields) time() time.Time { return time.Unix(0, f.number()) }

func (f *fields) answer() Answer {
	a := Answer{Status: int(f.number()), Reason: f.text(), Took: time.Duration(f.number())}
	if a.Reason == "-" {
		a.Reason = ""
	}
	return a
}

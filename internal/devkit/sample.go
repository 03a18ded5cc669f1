package devkit

import "time"

// The shapes of the sample events. Member order is the order in the body.

type agent struct {
	id         int
	name, team string
}

type queue struct {
	ID   int    `json:"id"`
	Name string `json:"name"`
}

type common struct {
	EventID         string `json:"eventId"`
	ActionType      string `json:"actionType"`
	EventTime       string `json:"eventTime"`
	TenantID        string `json:"tenantId"`
	ContactID       string `json:"contactId"`
	MasterContactID string `json:"masterContactId"`
	AgentID         int    `json:"agentId"`
	AgentName       string `json:"agentName"`
	TeamName        string `json:"teamName"`
	Skill           queue  `json:"skill"`
	Media           string `json:"media"`
	Direction       string `json:"direction"`
	ANI             string `json:"ani"`
	DNIS            string `json:"dnis"`
}

// sample is any of the four shapes.
type sample interface{ head() common }

func (c common) head() common { return c }

type created struct {
	common
	Campaign string   `json:"campaign"`
	Priority int      `json:"priority"`
	Language string   `json:"language"`
	IVRPath  []string `json:"ivrPath"`
	Customer customer `json:"customer"`
}

type customer struct {
	ID   string `json:"id"`
	Name string `json:"name"`
	Tier string `json:"tier"`
}

type transferred struct {
	common
	TransferType string `json:"transferType"`
	From         queue  `json:"fromQueue"`
	To           queue  `json:"toQueue"`
	Reason       string `json:"transferReason"`
	HoldSeconds  int    `json:"holdSeconds"`
	Attempt      int    `json:"attempt"`
}

type disconnected struct {
	common
	DisconnectedBy string  `json:"disconnectedBy"`
	StartTime      string  `json:"startTime"`
	EndTime        string  `json:"endTime"`
	DurationMs     int64   `json:"durationMs"`
	QueueSeconds   int     `json:"queueSeconds"`
	HoldSeconds    int     `json:"holdSeconds"`
	Recorded       bool    `json:"recorded"`
	RecordingID    *string `json:"recordingId"`
	MOS            float64 `json:"mos"`
}

type disposed struct {
	common
	Disposition disposition `json:"disposition"`
	Notes       string      `json:"notes"`
	Tags        []string    `json:"tags"`
	WrapSeconds int         `json:"wrapUpSeconds"`
	CallbackAt  *string     `json:"callbackAt"`
	Resolved    bool        `json:"resolved"`
}

type disposition struct {
	Code     int    `json:"code"`
	Label    string `json:"label"`
	Category string `json:"category"`
}

// build makes the next event of a life and moves its clock on.
func (t *Traffic) build(l *life, kind string) sample {
	switch kind {
	case QueueTransfer:
		return t.buildTransfer(l)
	case CallDisconnected:
		return t.buildDisconnect(l)
	case DispositionUpdated:
		return t.buildDisposition(l)
	default:
		return t.buildCreated(l)
	}
}

func (t *Traffic) common(l *life, kind string) common {
	return common{
		EventID:         t.uuid(),
		ActionType:      kind,
		EventTime:       stamp(l.now),
		TenantID:        "tenant-4711",
		ContactID:       l.contact,
		MasterContactID: l.master,
		AgentID:         l.agent.id,
		AgentName:       l.agent.name,
		TeamName:        l.agent.team,
		Skill:           l.queue,
		Media:           l.media,
		Direction:       l.direction,
		ANI:             l.caller,
		DNIS:            l.called,
	}
}

func (t *Traffic) buildCreated(l *life) sample {
	return created{
		common:   t.common(l, InteractionCreated),
		Campaign: pick(t.rng, "Frühjahrsaktion", "Renewals Q1", "Servicio al cliente", "always-on"),
		Priority: 1 + t.rng.IntN(9),
		Language: pick(t.rng, "de-DE", "en-GB", "es-MX", "ja-JP", "cs-CZ"),
		IVRPath:  ivrPaths[t.rng.IntN(len(ivrPaths))],
		Customer: customer{
			ID:   "C-" + t.contactID()[3:],
			Name: pick(t.rng, customers...),
			Tier: pick(t.rng, "basic", "silver", "gold"),
		},
	}
}

func (t *Traffic) buildTransfer(l *life) sample {
	l.now = l.now.Add(t.between(20*time.Second, 4*time.Minute))
	hold := 5 + t.rng.IntN(90)
	l.held += hold
	from := l.queue
	for l.queue == from {
		l.queue = pick(t.rng, queues...)
	}
	return transferred{
		common:       t.common(l, QueueTransfer),
		TransferType: pick(t.rng, "blind", "warm", "consult"),
		From:         from,
		To:           l.queue,
		Reason:       pick(t.rng, "wrong skill", "second level needed", "customer asked for \"a person\"", "Sprache: Türkçe"),
		HoldSeconds:  hold,
		Attempt:      1 + t.rng.IntN(3),
	}
}

func (t *Traffic) buildDisconnect(l *life) sample {
	l.now = l.now.Add(time.Duration(l.held)*time.Second + t.between(30*time.Second, 15*time.Minute))
	e := disconnected{
		common:         t.common(l, CallDisconnected),
		DisconnectedBy: pick(t.rng, "customer", "customer", "agent", "system"),
		StartTime:      stamp(l.began),
		EndTime:        stamp(l.now),
		DurationMs:     l.now.Sub(l.began).Milliseconds(),
		QueueSeconds:   t.rng.IntN(20),
		HoldSeconds:    l.held,
		Recorded:       t.rng.IntN(5) > 0,
		MOS:            float64(310+t.rng.IntN(130)) / 100,
	}
	if e.Recorded {
		id := t.uuid()
		e.RecordingID = &id
	}
	return e
}

func (t *Traffic) buildDisposition(l *life) sample {
	wrap := 5 + t.rng.IntN(115)
	l.now = l.now.Add(time.Duration(wrap) * time.Second)
	e := disposed{
		common:      t.common(l, DispositionUpdated),
		Disposition: pick(t.rng, dispositions...),
		Notes:       pick(t.rng, notes...),
		Tags:        tagSets[t.rng.IntN(len(tagSets))],
		WrapSeconds: wrap,
		Resolved:    t.rng.IntN(3) > 0,
	}
	if !e.Resolved {
		at := stamp(l.now.Add(t.between(time.Hour, 48*time.Hour)).Truncate(time.Minute))
		e.CallbackAt = &at
	}
	return e
}

func stamp(at time.Time) string { return at.Format("2006-01-02T15:04:05.000Z07:00") }

// The tables below are never written to.

var agents = []agent{
	{10417, "Zoë Müller", "Inbound Köln"},
	{10422, "Jürgen Weiß", "Inbound Köln"},
	{20031, "Siobhán O'Connor", "Second Level"},
	{20077, "Łukasz Wójcik", "Second Level"},
	{30005, "山田 太郎", "東京サポート"},
	{30119, "Nguyễn Thị Hạnh", "Night Shift"},
	{41200, "María José Peña", "Ventas & Servicio"},
	{41201, "Ayşe Çelik", "Türkçe Hattı"},
	{7, "Ann Lee", "Back Office"},
}

var queues = []queue{
	{310, "Rechnungen"},
	{311, "Störungen"},
	{420, "Sales EMEA"},
	{421, "Retention <gold>"},
	{530, "Soporte técnico"},
	{640, "請求のお問い合わせ"},
	{755, "Second Level"},
}

var customers = []string{
	"François Lefèvre", "Dvořák & Söhne GmbH", "Chidi Okonkwo", "Ελένη Παπαδοπούλου",
	"李雷", "Amélie Žižková", "John \"Jack\" Smith", "Ingrid Ødegård",
}

var ivrPaths = [][]string{
	{"welcome", "language:de", "menu:1", "billing"},
	{"welcome", "language:en", "menu:3", "order-status", "agent"},
	{"welcome", "callback-offer"},
	{"welcome", "language:es", "auth:voice-print", "menu:2", "faults", "zip:10115", "agent"},
}

var dispositions = []disposition{
	{100, "Erledigt", "resolved"},
	{110, "Resolved after transfer", "resolved"},
	{200, "Rückruf vereinbart", "open"},
	{210, "Escalated to 2nd level", "open"},
	{300, "No answer", "not reached"},
	{310, "Wrong number", "not reached"},
}

var notes = []string{
	"Customer will send the meter reading by e-mail; see ticket #48121.",
	"Kundin möchte am Nachmittag zurückgerufen werden.\nBitte Vertrag bereithalten (Größe L → XL).",
	"Cliente satisfecho 👍. Se envió la factura por correo; pendiente de confirmación del banco.",
	"Line was bad: \"can you hear me?\" three times. Called back once, then solved in\t4 minutes.",
	"お客様は来週また電話します。",
	"Spoke with the customer's husband first, who is not authorised on the account. She confirmed the address change, asked for a printed invoice and was told about the price change of 1 March. Nothing left open on our side; survey link sent by SMS.",
}

var tagSets = [][]string{
	{},
	{"billing", "first-contact"},
	{"störung", "vip", "sla-risk"},
	{"sales", "cross-sell", "español"},
}

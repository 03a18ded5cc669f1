// Command plot draws the report of a storm: answers over time with the faults
// marked. It is a module of its own, so that the relay's does not have the
// libraries for it.
//
//	go run . report.json storm.png
package main

import (
	"encoding/json"
	"fmt"
	"image/color"
	"os"
	"time"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"
)

// report is what is drawn of a storm's report.
type report struct {
	Seed    uint64 `json:"seed"`
	Seconds []struct {
		At       int            `json:"at"`
		Accepted int            `json:"accepted"`
		Refused  map[string]int `json:"refused"`
		P50      time.Duration  `json:"p50"`
		P99      time.Duration  `json:"p99"`
	} `json:"seconds"`
	Windows []struct {
		Fault string        `json:"fault"`
		At    time.Duration `json:"at"`
	} `json:"windows"`
}

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "plot report.json picture.png")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, "plot:", err)
		os.Exit(1)
	}
}

func run(from, to string) error {
	text, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	var r report
	if err := json.Unmarshal(text, &r); err != nil {
		return fmt.Errorf("%s: %w", from, err)
	}
	if len(r.Seconds) == 0 {
		return fmt.Errorf("%s has no answers", from)
	}
	above, err := rates(&r)
	if err != nil {
		return err
	}
	below, err := times(&r)
	if err != nil {
		return err
	}
	canvas := vgimg.PngCanvas{Canvas: vgimg.New(30*vg.Centimeter, 22*vg.Centimeter)}
	area := draw.New(canvas)
	middle := area.Min.Y + (area.Max.Y-area.Min.Y)*0.45
	const edge = 8 // points
	above.Draw(draw.Crop(area, edge, -edge, middle-area.Min.Y, -edge))
	below.Draw(draw.Crop(area, edge, -edge, edge, middle-area.Max.Y))
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	if _, err := canvas.WriteTo(out); err != nil {
		_ = out.Close()
		return err
	}
	return out.Close()
}

var (
	green = color.RGBA{G: 130, B: 60, A: 255}
	red   = color.RGBA{R: 200, G: 40, B: 40, A: 255}
	blue  = color.RGBA{R: 30, G: 80, B: 190, A: 255}
	grey  = color.RGBA{R: 150, G: 150, B: 150, A: 255}
)

func rates(r *report) (*plot.Plot, error) {
	p := plot.New()
	p.Title.Text = fmt.Sprintf("storm, seed %d", r.Seed)
	p.Y.Label.Text = "answers a second"
	var accepted, refused plotter.XYs
	most := 1.0
	for _, s := range r.Seconds {
		n := 0
		for reason, k := range s.Refused {
			if reason != "no answer" {
				n += k
			}
		}
		accepted = append(accepted, plotter.XY{X: float64(s.At), Y: float64(s.Accepted)})
		refused = append(refused, plotter.XY{X: float64(s.At), Y: float64(n)})
		most = max(most, float64(s.Accepted), float64(n))
	}
	if err := faults(p, r, most, true); err != nil {
		return nil, err
	}
	return p, lines(p, named{"accepted", accepted, green}, named{"refused", refused, red})
}

func times(r *report) (*plot.Plot, error) {
	p := plot.New()
	p.X.Label.Text = "seconds"
	p.Y.Label.Text = "answer time, ms"
	var p50, p99 plotter.XYs
	most := 1.0
	for _, s := range r.Seconds {
		ms := func(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
		p50 = append(p50, plotter.XY{X: float64(s.At), Y: ms(s.P50)})
		p99 = append(p99, plotter.XY{X: float64(s.At), Y: ms(s.P99)})
		most = max(most, ms(s.P99))
	}
	if err := faults(p, r, most, false); err != nil {
		return nil, err
	}
	return p, lines(p, named{"p50", p50, green}, named{"p99", p99, blue})
}

type named struct {
	name string
	xys  plotter.XYs
	with color.Color
}

func lines(p *plot.Plot, all ...named) error {
	for _, n := range all {
		l, err := plotter.NewLine(n.xys)
		if err != nil {
			return err
		}
		l.Color = n.with
		p.Add(l)
		p.Legend.Add(n.name, l)
	}
	p.Legend.Top = true
	return nil
}

// faults draws a line where each began, with its name along it.
func faults(p *plot.Plot, r *report, most float64, names bool) error {
	var labels plotter.XYLabels
	for _, w := range r.Windows {
		x := w.At.Seconds()
		l, err := plotter.NewLine(plotter.XYs{{X: x}, {X: x, Y: most}})
		if err != nil {
			return err
		}
		l.Color, l.Width = grey, vg.Points(0.5)
		p.Add(l)
		labels.XYs = append(labels.XYs, plotter.XY{X: x, Y: most * 0.02})
		labels.Labels = append(labels.Labels, w.Fault)
	}
	if !names || len(labels.XYs) == 0 {
		return nil
	}
	text, err := plotter.NewLabels(labels)
	if err != nil {
		return err
	}
	for i := range text.TextStyle {
		text.TextStyle[i].Rotation = 1.5708 // upwards
		text.TextStyle[i].Font.Size = vg.Points(6)
		text.TextStyle[i].Color = grey
	}
	p.Add(text)
	return nil
}

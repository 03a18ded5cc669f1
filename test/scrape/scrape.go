// Package scrape reads what a relay exposes to Prometheus.
package scrape

import (
	"strconv"
	"strings"
)

// Parse returns every series of one scrape, by name with labels as they are
// written in the exposition.
func Parse(exposition string) map[string]float64 {
	series := map[string]float64{}
	for line := range strings.Lines(exposition) {
		cut := strings.LastIndexByte(line, ' ')
		if strings.HasPrefix(line, "#") || cut < 0 {
			continue
		}
		if v, err := strconv.ParseFloat(strings.TrimSpace(line[cut:]), 64); err == nil {
			series[line[:cut]] = v
		}
	}
	return series
}

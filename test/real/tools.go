package real

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// Tools returns a folder with Kafka's command line tools as its distribution
// names them, for PATH: the ones that our pages tell people to run. They are
// the classes of the cluster's own jars.
func (c *Cluster) Tools(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	for name, class := range map[string]string{
		"kafka-topics.sh":  "org.apache.kafka.tools.TopicCommand",
		"kafka-configs.sh": "kafka.admin.ConfigCommand",
	} {
		text := fmt.Sprintf("#!/bin/sh\nexec java -XX:TieredStopAtLevel=1 -XX:+UseSerialGC -XX:-UsePerfData -cp '%s' %s \"$@\"\n", filepath.Join(c.libs, "*"), class)
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o700); err != nil { //nolint:gosec // it is to be run
			t.Fatal(err)
		}
	}
	return dir
}

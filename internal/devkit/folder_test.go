package devkit_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/cxrelay/cxrelay/internal/devkit"
)

func folderOf(files map[string]string) fstest.MapFS {
	fsys := fstest.MapFS{}
	for name, text := range files {
		fsys[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return fsys
}

func TestRegisterFolder(t *testing.T) {
	r := startRegistry(t, devkit.RegistryOptions{})
	files := map[string]string{
		"chat.json":     `{"properties":{"at":{"$ref":"z%2Faddress.json"},"n":{"items":[{"$ref":"count.json#/definitions/n"}]}}}`,
		"count.json":    `{"definitions":{"n":{"type":"number"}},"properties":{"self":{"$ref":"#/definitions/n"}}}`,
		"readme.txt":    `no schema`,
		"alone.json":    `{"type":"object"}`,
		"sub/deep.json": `{`,
	}
	got, err := r.RegisterFolder(folderOf(files))
	if err == nil || !strings.Contains(err.Error(), "chat.json: ") {
		t.Errorf("a reference to nowhere: %v", err)
	}
	if len(got) != 2 {
		t.Errorf("the others are registered: %v", got)
	}
	files["chat.json"] = strings.Replace(files["chat.json"], "z%2Faddress.json", "address.json", 1)
	files["address.json"] = `{"type":"string"}`
	files["a%2Fb.json"] = `{"$ref":"chat.json"}`
	const want = `[{a%2Fb.json a/b 1 1} {address.json address 1 1} {alone.json alone 1 1} {chat.json chat 1 1} {count.json count 1 1}]`
	for range 2 {
		if got, err = r.RegisterFolder(folderOf(files)); err != nil || fmt.Sprint(got) != want {
			t.Errorf("got  %v, %v\nwant %s", got, err, want)
		}
	}
	status, answer := call(t, r, "GET", "/subjects/chat/versions/1", "")
	if refs := fmt.Sprint(answer["references"]); status != 200 || !strings.Contains(refs, "subject:address") || !strings.Contains(refs, "subject:count") {
		t.Errorf("%d %v", status, answer)
	}

	// What is referred to changes: so does what refers to it.
	files["address.json"] = `{"type":"number"}`
	got, err = r.RegisterFolder(folderOf(files))
	if err != nil || got[0].Version != 2 || got[1].Version != 2 || got[2].Version != 1 || got[3].Version != 2 {
		t.Errorf("got %v, %v", got, err)
	}
	// A file that goes back is the old version, and not the latest.
	files["alone.json"] = `{"type":"array"}`
	if _, err = r.RegisterFolder(folderOf(files)); err != nil {
		t.Fatal(err)
	}
	files["alone.json"] = `{"type":"object"}`
	if got, err = r.RegisterFolder(folderOf(files)); err != nil || got[2].Version != 1 || got[2].Latest != 2 {
		t.Errorf("got %v, %v", got, err)
	}
	if r.Latest("alone") != 2 || r.Latest("nobody") != 0 {
		t.Errorf("Latest: %d, %d", r.Latest("alone"), r.Latest("nobody"))
	}
}

func TestRegisterFolderFaults(t *testing.T) {
	for name, tt := range map[string]struct {
		files map[string]string
		want  []string
	}{
		"no JSON":        {map[string]string{"a.json": "{", "b.json": "nope"}, []string{"a.json: no JSON: ", "b.json: no JSON: "}},
		"no schema":      {map[string]string{"a.json": `{"type":"objekt"}`}, []string{"a.json: register subject a: Invalid schema: "}},
		"bad name":       {map[string]string{"a%zz.json": `{}`}, []string{`a%zz.json: the name of the file is that of the subject: invalid URL escape "%zz"`}},
		"circle":         {map[string]string{"a.json": `{"not":{"$ref":"b.json"}}`, "b.json": `{"not":{"$ref":"a.json#"}}`}, []string{"a.json: it refers to b.json: it refers to itself, by b.json, a.json"}},
		"itself":         {map[string]string{"a.json": `{"not":{"$ref":"a.json#"}}`}, []string{"a.json: it refers to itself, by a.json"}},
		"through a file": {map[string]string{"a.json": `{"$ref":"b.json"}`, "b.json": `{"type":1}`}, []string{"a.json: it refers to b.json: register subject b: ", "b.json: register subject b: "}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := startRegistry(t, devkit.RegistryOptions{}).RegisterFolder(folderOf(tt.files))
			for _, want := range tt.want {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("got %v, want %q in it", err, want)
				}
			}
		})
	}
}

func TestRegisterFolderThatIsNotThere(t *testing.T) {
	got, err := startRegistry(t, devkit.RegistryOptions{}).RegisterFolder(os.DirFS(filepath.Join(t.TempDir(), "none")))
	if len(got) != 0 || err != nil {
		t.Errorf("got %v, %v", got, err)
	}
}

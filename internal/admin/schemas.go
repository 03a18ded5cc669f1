package admin

import (
	"net/http"
	"strconv"
)

// Schemas lists the schemas in use, as JSON for /api/v1/schemas: all of them
// for "", else those of one subject with their texts; false if there is none.
type Schemas func(subject string) (body any, ok bool)

func (s *Server) schemas(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	subject := query.Get("subject")
	if query.Has("subject") && subject == "" {
		refuse(w, http.StatusBadRequest, "the subject is empty")
		return
	}
	body, ok := s.opts.Schemas(subject)
	if !ok {
		refuse(w, http.StatusNotFound, "no route has the subject "+strconv.Quote(subject))
		return
	}
	reply(w, http.StatusOK, body)
}

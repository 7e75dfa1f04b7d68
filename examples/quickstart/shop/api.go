package main

import (
	"encoding/json"
	"net/http"
)

// prices are in cents.
var prices = map[string]int{"kite": 1290, "umbrella": 1990, "barometer": 7900}

// quote is what the api says about one item.
type quote struct {
	Item  string `json:"item"`
	Cents int    `json:"cents"`
	From  string `json:"from"` // the replica that answered
}

// api answers GET /price/ITEM and GET /health.
func api(name string) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /price/{item}", func(w http.ResponseWriter, r *http.Request) {
		item := r.PathValue("item")
		cents, ok := prices[item]
		if !ok {
			http.Error(w, "we do not sell "+item, http.StatusNotFound)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(quote{Item: item, Cents: cents, From: name})
	})
	mux.HandleFunc("GET /health", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte("ok\n"))
	})
	return mux
}

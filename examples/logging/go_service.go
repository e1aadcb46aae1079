// How a Go service logs for Tidegauge: standard library only.
//
//	go run go_service.go DIRECTORY [REQUESTS]
//
// answers so many requests from eight goroutines and writes DIRECTORY/predictions.jsonl and DIRECTORY/feedback.jsonl.
// Copy LineLog and now; the rest stands in for your service.
package main

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	mathrand "math/rand"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"
)

// Prediction is what the service answered. Pointers tell a zero from a value that is not there.
type Prediction struct {
	ID         string         `json:"prediction_id"`
	Timestamp  string         `json:"timestamp"`
	Model      string         `json:"model"`
	Version    string         `json:"version"`
	Prediction string         `json:"prediction,omitempty"`
	Score      *float64       `json:"score,omitempty"`
	Features   map[string]any `json:"features,omitempty"`
	LatencyMS  float64        `json:"latency_ms"`
	Error      string         `json:"error,omitempty"`
	Weight     float64        `json:"weight,omitempty"` // 1 / sampling fraction, if not every request is logged
}

// Feedback is the truth about a prediction, written when it arrives.
type Feedback struct {
	ID        string `json:"prediction_id"`
	Timestamp string `json:"timestamp"`
	Label     string `json:"label"`
}

// LineLog appends records to a file, one JSON object a line; goroutines and processes may share the file.
//
// A line goes out in one write to a file opened with O_APPEND, so that lines of several writers never mix, and a crash
// tears the last one at most. Do not put a bufio.Writer around it. No fsync: a lost second of log is cheaper than a slow
// answer. When rotation has renamed the file, the next line begins a new one.
type LineLog struct {
	path string
	lock sync.Mutex
	file *os.File
}

// Write appends one record.
func (l *LineLog) Write(record any) error {
	var line bytes.Buffer
	encoder := json.NewEncoder(&line) // ends the line with a newline; fails on NaN and infinity
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(record); err != nil {
		return err
	}
	l.lock.Lock()
	defer l.lock.Unlock()
	if !l.stillThere() {
		if l.file != nil {
			l.file.Close()
		}
		file, err := os.OpenFile(l.path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o640)
		if err != nil {
			return err
		}
		l.file = file
	}
	_, err := l.file.Write(line.Bytes())
	return err
}

func (l *LineLog) stillThere() bool {
	if l.file == nil {
		return false
	}
	there, err := os.Stat(l.path)
	if err != nil {
		return false
	}
	open, err := l.file.Stat()
	return err == nil && os.SameFile(there, open)
}

// now is RFC 3339 in UTC, with the Z that says so.
func now() string {
	return time.Now().UTC().Format("2006-01-02T15:04:05.000Z07:00")
}

func newID() string {
	var id [16]byte
	if _, err := rand.Read(id[:]); err != nil {
		panic(err)
	}
	return hex.EncodeToString(id[:])
}

// answer stands in for a model: the probability of fraud, or an error.
func answer(amount float64) (float64, error) {
	time.Sleep(time.Millisecond)
	if amount > 990 {
		return 0, errors.New("the feature store did not answer")
	}
	return amount / 1000, nil
}

// serve answers one request and logs it; it returns the id under which feedback will come.
func serve(log *LineLog) (string, error) {
	amount := mathrand.Float64() * 1000
	started := time.Now()
	record := Prediction{
		ID:        newID(), // one id a prediction, made here, handed out with the answer
		Timestamp: now(),
		Model:     "fraud",
		Version:   "v1",
		// Only what is worth watching: never names, card numbers, tokens or free text of users.
		Features: map[string]any{"amount": amount, "shop": "Käthe's \"Eck\" \\ 角\t"},
	}
	score, err := answer(amount)
	if err != nil {
		record.Error = err.Error() // a failed request is logged too: without an answer, with the reason
	} else {
		record.Score = &score
		record.Prediction = "0"
		if score >= 0.5 {
			record.Prediction = "1"
		}
	}
	record.LatencyMS = float64(time.Since(started).Microseconds()) / 1000
	return record.ID, log.Write(record)
}

func main() {
	requests := 1000
	if len(os.Args) > 2 {
		if number, err := strconv.Atoi(os.Args[2]); err == nil {
			requests = number
		}
	}
	predictions := &LineLog{path: filepath.Join(os.Args[1], "predictions.jsonl")}
	feedback := &LineLog{path: filepath.Join(os.Args[1], "feedback.jsonl")}
	failures := make(chan error, requests)
	work := make(chan struct{}, requests)
	for i := 0; i < requests; i++ {
		work <- struct{}{}
	}
	close(work)
	var workers sync.WaitGroup
	for i := 0; i < 8; i++ {
		workers.Add(1)
		go func() {
			defer workers.Done()
			for range work {
				id, err := serve(predictions)
				if err == nil {
					// When the truth arrives, minutes or weeks later; here at once.
					err = feedback.Write(Feedback{ID: id, Timestamp: now(), Label: strconv.Itoa(mathrand.Intn(2))})
				}
				if err != nil {
					failures <- err
				}
			}
		}()
	}
	workers.Wait()
	close(failures)
	for err := range failures {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

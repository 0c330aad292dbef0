package main

import (
	"encoding/json"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"go.yaml.in/yaml/v3"

	"github.com/aftertouch-io/aftertouch/internal/privacy"
	"github.com/aftertouch-io/aftertouch/internal/telemetry"
)

// described returns the names of all metrics that `aftertouch all` registers.
func described(t *testing.T) []string {
	t.Helper()
	c := defaultAll()
	c.DataDir, c.Run.HTTPAddr, c.Run.GRPCAddr = t.TempDir(), "127.0.0.1:0", "127.0.0.1:0"
	p := &program{out: io.Discard, err: io.Discard, log: telemetry.DefaultLog()}
	s, err := newProcess(t.Context(), p, c.Run)
	if err != nil {
		t.Fatal(err)
	}
	master, err := privacy.ReadOrMakeMasterKey(c.masterKeyFile())
	if err != nil {
		t.Fatal(err)
	}
	e, err := c.openEngines(t.Context(), s.log)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.close(); err != nil {
			t.Error(err)
		}
	})
	descs := make(chan *prometheus.Desc, 1000)
	err = c.start(s, p, e, master)
	s.metrics.Describe(descs)
	close(descs)
	if err := s.Stop(err); err != nil {
		t.Fatal(err)
	}
	fqName := regexp.MustCompile(`fqName: "([a-z_]+)"`)
	var names []string
	for d := range descs {
		names = append(names, fqName.FindStringSubmatch(d.String())[1])
	}
	return names
}

// TestAlertsAndDashboardsNameMetricsThatExist keeps what operators look at from going silently blank.
func TestAlertsAndDashboardsNameMetricsThatExist(t *testing.T) {
	known := described(t)
	named := regexp.MustCompile(`\b(?:aftertouch|process|grpc_server)_[a-z_]+\b`)
	checked := 0
	for from, expressions := range map[string][]string{
		"rules.yml": ruleExpressions(t), "aftertouch.json": panelExpressions(t),
	} {
		for _, expression := range expressions {
			for _, name := range named.FindAllString(expression, -1) {
				checked++
				base := regexp.MustCompile(`_(bucket|sum|count)$`).ReplaceAllString(name, "")
				if !slices.Contains(known, name) && !slices.Contains(known, base) {
					t.Errorf("%s names %s, which no service has", from, name)
				}
			}
		}
	}
	if checked < 30 {
		t.Errorf("found only %d names: the test no longer reads the files", checked)
	}
}

func ruleExpressions(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile("../../deploy/prometheus/rules.yml")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Groups []struct {
			Rules []struct {
				Alert, Expr string
				Annotations map[string]string
			}
		}
	}
	if err := yaml.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	var expressions []string
	for _, group := range file.Groups {
		for _, rule := range group.Rules {
			expressions = append(expressions, rule.Expr)
			checkRunbook(t, rule.Alert, rule.Annotations["runbook"])
		}
	}
	return expressions
}

// checkRunbook proves that an alert leads to a section of the operating guide.
func checkRunbook(t *testing.T, alert, runbook string) {
	t.Helper()
	path, anchor, _ := strings.Cut(runbook, "#")
	guide, err := os.ReadFile("../../" + path)
	if err != nil {
		t.Errorf("alert %s leads nowhere: %v", alert, err)
		return
	}
	for line := range strings.Lines(string(guide)) {
		if title, found := strings.CutPrefix(line, "### "); found && strings.ReplaceAll(strings.ToLower(strings.TrimSpace(title)), " ", "-") == anchor {
			return
		}
	}
	t.Errorf("alert %s leads to %s, a section that the guide lacks", alert, runbook)
}

func panelExpressions(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile("../../deploy/grafana/dashboards/aftertouch.json")
	if err != nil {
		t.Fatal(err)
	}
	var dashboard struct {
		Panels []struct {
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal(text, &dashboard); err != nil {
		t.Fatal(err)
	}
	var expressions []string
	for _, panel := range dashboard.Panels {
		for _, target := range panel.Targets {
			expressions = append(expressions, target.Expr)
		}
	}
	return expressions
}

package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// runLine runs a command line with a clean environment of settings.
func runLine(t *testing.T, args ...string) (status int, out, errOut string) {
	t.Helper()
	var o, e bytes.Buffer
	status = execute(args, &o, &e)
	return status, o.String(), e.String()
}

func writeFile(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestSettingsComeFromFlagThenEnvironmentThenFileThenDefault(t *testing.T) {
	file := writeFile(t, "aftertouch.yml", "log:\n  level: error\n  format: json\n")
	t.Setenv("AFTERTOUCH_LOG_LEVEL", "warn")
	for _, tc := range []struct {
		name string
		args []string
		want []string
	}{
		{"default", []string{"version", "--dump"}, []string{"log-format: text # default"}},
		{"file", []string{"version", "--dump", "--config", file}, []string{"log-format: json # file " + file}},
		{"environment", []string{"version", "--dump", "--config=" + file}, []string{"log-level: warn # environment AFTERTOUCH_LOG_LEVEL"}},
		{"flag", []string{"version", "--dump", "--config", file, "--log-level=debug"}, []string{"log-level: debug # flag"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			status, out, errOut := runLine(t, tc.args...)
			if status != 0 {
				t.Fatalf("exit %d: %s", status, errOut)
			}
			for _, want := range tc.want {
				if !strings.Contains(out, want+"\n") {
					t.Errorf("dump lacks %q:\n%s", want, out)
				}
			}
		})
	}
}

func TestTheFileMayBeNamedByTheEnvironmentAndBeJSON(t *testing.T) {
	t.Setenv("AFTERTOUCH_CONFIG", writeFile(t, "aftertouch.json", `{"log_level": "debug"}`))
	status, out, errOut := runLine(t, "version", "--dump")
	if status != 0 || !strings.Contains(out, "log-level: debug # file") {
		t.Errorf("exit %d\n%s%s", status, out, errOut)
	}
}

func TestADumpIsAConfigurationFile(t *testing.T) {
	_, dumped, _ := runLine(t, "version", "--dump", "--log-level=error")
	status, out, errOut := runLine(t, "version", "--dump", "--config", writeFile(t, "dump.yml", dumped))
	if status != 0 || !strings.Contains(out, "log-level: error # file") {
		t.Errorf("exit %d\n%s%s", status, out, errOut)
	}
}

func TestCheckNamesEveryFault(t *testing.T) {
	status, _, errOut := runLine(t, "version", "--check", "--log-level=loud", "--log-format=xml")
	if status != 1 || !strings.Contains(errOut, "log-level") || !strings.Contains(errOut, "log-format") {
		t.Errorf("exit %d, want 1 and both faults:\n%s", status, errOut)
	}
	status, out, errOut := runLine(t, "version", "--check")
	if status != 0 || out != "" {
		t.Errorf("a valid configuration: exit %d %s%s, want 0 and nothing done", status, out, errOut)
	}
}

func TestMistakesInTheConfigurationAreNamed(t *testing.T) {
	for _, tc := range []struct {
		name, file, want string
	}{
		{"unknown key", "log-lewel: debug\nlog:\n  colour: red\n", `there is no setting "log-colour"`},
		{"not YAML", "log-level: [", "reading the configuration file"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			status, _, errOut := runLine(t, "version", "--check", "--config", writeFile(t, "c.yml", tc.file))
			if status != 1 || !strings.Contains(errOut, tc.want) {
				t.Errorf("exit %d, want 1 and %q:\n%s", status, tc.want, errOut)
			}
		})
	}
	if status, _, errOut := runLine(t, "version", "--config", "/nowhere.yml"); status != 1 || !strings.Contains(errOut, "--config") {
		t.Errorf("a missing file: exit %d: %s", status, errOut)
	}
	if status, _, errOut := runLine(t); status != 1 || !strings.Contains(errOut, `expected one of "all"`) {
		t.Errorf("no command: exit %d: %s", status, errOut)
	}
}

func TestMisspeltVariablesAreNamed(t *testing.T) {
	t.Setenv("AFTERTOUCH_LOG_LEWEL", "debug")
	_, _, errOut := runLine(t, "version")
	if !strings.Contains(errOut, "AFTERTOUCH_LOG_LEWEL is not a setting") {
		t.Errorf("stderr does not name the variable: %q", errOut)
	}
}

func TestPasswordsInAddressesAreHidden(t *testing.T) {
	for in, want := range map[string]string{
		"clickhouse://u:secret@h:9000/d":           "clickhouse://u:hidden@h:9000/d",
		"http://h:8123/d?username=u&password=abcd": "http://h:8123/d?password=hidden&username=u",
		"clickhouse://h:9000/d":                    "clickhouse://h:9000/d",
		"://%zz":                                   hidden,
	} {
		if got := withoutPassword(in); got != want {
			t.Errorf("%s is shown as %s, want %s", in, got, want)
		}
	}
}

// TestEverySettingSaysWhatItDoes keeps --help useful: settings come from the packages' own structs.
func TestEverySettingSaysWhatItDoes(t *testing.T) {
	parser, err := newParser(defaults())
	if err != nil {
		t.Fatal(err)
	}
	for _, flag := range allFlags(parser.Model.Node) {
		if flag.Help == "" {
			t.Errorf("--%s has no help", flag.Name)
		}
	}
}

package api

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

func TestTheDescriptionIsWhole(t *testing.T) {
	text, err := OpenAPI()
	if err != nil {
		t.Fatal(err)
	}
	var whole object
	if err := json.Unmarshal(text, &whole); err != nil {
		t.Fatal(err)
	}
	checkReferences(t, whole, whole)
	shapes, operations := map[string]string{}, map[string]string{}
	for path, methods := range whole["paths"].(object) {
		shape := pathParameter.ReplaceAllString(path, "{}")
		if other, ok := shapes[shape]; ok {
			t.Errorf("%s and %s are one path", path, other)
		}
		shapes[shape] = path
		for method, o := range methods.(object) {
			operation, call := o.(object), method+" "+path
			id := fmt.Sprint(operation["operationId"])
			if other, ok := operations[id]; ok || operation["operationId"] == nil {
				t.Errorf("%s has the operationId %s of %s", call, id, other)
			}
			operations[id] = call
			checkPathParameters(t, call, path, operation)
			if responses, ok := operation["responses"].(object); !ok || len(responses) == 0 {
				t.Errorf("%s has no responses", call)
			}
		}
	}
	for _, path := range []string{
		"/v1/pixel.gif", "/v1/events", "/v1/postback", "/c/{link}", "/at.js", "/healthz", "/ready", "/metrics", "/openapi.json",
		"/v1/creators/{creator_id}", "/v1/codes/{code}", "/v1/reports/performance",
	} {
		if whole["paths"].(object)[path] == nil {
			t.Errorf("%s is not described", path)
		}
	}
	if strings.Contains(string(text), "googleRpcStatus") {
		t.Error("errors are described as something that is not served")
	}
}

// checkReferences checks that everything that is referred to is there.
func checkReferences(t *testing.T, whole object, node any) {
	t.Helper()
	switch node := node.(type) {
	case []any:
		for _, item := range node {
			checkReferences(t, whole, item)
		}
	case object:
		for name, value := range node {
			ref, isText := value.(string)
			if name != "$ref" || !isText {
				checkReferences(t, whole, value)
				continue
			}
			parts := strings.Split(strings.TrimPrefix(ref, "#/"), "/")
			if section, ok := whole[parts[0]].(object); len(parts) != 2 || !ok || section[parts[1]] == nil {
				t.Errorf("%s refers to nothing", ref)
			}
		}
	}
}

func checkPathParameters(t *testing.T, call, path string, operation object) {
	t.Helper()
	list, _ := operation["parameters"].([]any)
	var named []string
	for _, p := range list {
		if p := p.(object); p["in"] == "path" {
			named = append(named, fmt.Sprintf("{%v}", p["name"]))
		}
	}
	if want := pathParameter.FindAllString(path, -1); fmt.Sprint(named) != fmt.Sprint(want) {
		t.Errorf("%s has the path parameters %v, want %v", call, named, want)
	}
}

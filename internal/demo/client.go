package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	aftertouchv1 "github.com/aftertouch-io/aftertouch/api/aftertouch/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
)

// Target is a running Aftertouch.
type Target struct {
	// HTTP is the base address such as http://127.0.0.1:8080, GRPC host and port.
	HTTP, GRPC string
	// WebKey collects, AdminKey does everything.
	WebKey, AdminKey string
}

// client speaks the public interfaces, as a user's software would.
type client struct {
	target Target
	http   *http.Client
	conn   *grpc.ClientConn
	events aftertouchv1.CollectorServiceClient
}

func newClient(target Target) (*client, error) {
	conn, err := grpc.NewClient(target.GRPC, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return nil, fmt.Errorf("connecting to %s: %w", target.GRPC, err)
	}
	return &client{
		target: target, conn: conn, events: aftertouchv1.NewCollectorServiceClient(conn),
		http: &http.Client{
			Timeout:       10 * time.Second,
			Transport:     &http.Transport{MaxIdleConnsPerHost: drivers},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}, nil
}

func (c *client) close() error { return c.conn.Close() }

// call sends JSON with the admin key and decodes the answer into out, unless out is nil.
func (c *client) call(ctx context.Context, method, path string, in, out any) error {
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return fmt.Errorf("encoding the request: %w", err)
		}
		body = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.target.HTTP+path, body)
	if err != nil {
		return fmt.Errorf("making the request: %w", err)
	}
	req.Header.Set("Authorization", "Bearer "+c.target.AdminKey)
	req.Header.Set("Content-Type", "application/json")
	return c.do(req, func(resp *http.Response) error {
		if resp.StatusCode/100 != 2 {
			text, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<10))
			return fmt.Errorf("%s: %s", resp.Status, text)
		}
		if out == nil {
			return nil
		}
		return json.NewDecoder(resp.Body).Decode(out)
	})
}

func (c *client) do(req *http.Request, read func(*http.Response) error) error {
	resp, err := c.http.Do(req)
	if err != nil {
		return fmt.Errorf("sending: %w", err)
	}
	err = read(resp)
	_, drained := io.Copy(io.Discard, resp.Body)
	if err := errors.Join(err, drained, resp.Body.Close()); err != nil {
		return fmt.Errorf("%s %s: %w", req.Method, req.URL.Path, err)
	}
	return nil
}

// pixel loads the tracking pixel as a page would.
func (c *client) pixel(ctx context.Context, userAgent string, query url.Values) error {
	query.Set("key", c.target.WebKey)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.target.HTTP+"/v1/pixel.gif?"+query.Encode(), nil)
	if err != nil {
		return fmt.Errorf("making the request: %w", err)
	}
	req.Header.Set("User-Agent", userAgent)
	return c.do(req, func(resp *http.Response) error {
		if status := resp.Header.Get("Aftertouch-Status"); status != "ok" {
			return fmt.Errorf("pixel answered %q", status)
		}
		return nil
	})
}

// follow follows a creator's link and returns the click token of the landing address.
func (c *client) follow(ctx context.Context, link string) (token string, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.target.HTTP+"/c/"+url.PathEscape(link), nil)
	if err != nil {
		return "", fmt.Errorf("making the request: %w", err)
	}
	req.Header.Set("User-Agent", browser)
	err = c.do(req, func(resp *http.Response) error {
		landing, err := resp.Location()
		if err != nil {
			return fmt.Errorf("link %s answered %s: %w", link, resp.Status, err)
		}
		token = landing.Query().Get("at_click")
		return nil
	})
	return token, err
}

// beacon sends events as the browser script does.
func (c *client) beacon(ctx context.Context, events ...map[string]any) error {
	body, err := json.Marshal(map[string]any{"events": events})
	if err != nil {
		return fmt.Errorf("encoding events: %w", err)
	}
	address := c.target.HTTP + "/v1/events?key=" + url.QueryEscape(c.target.WebKey)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("making the request: %w", err)
	}
	req.Header.Set("User-Agent", browser)
	req.Header.Set("Content-Type", "text/plain")
	return c.do(req, func(resp *http.Response) error {
		var answer struct {
			Results []struct{ Status, Reason string }
		}
		if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
			return fmt.Errorf("%s: %w", resp.Status, err)
		}
		for _, r := range answer.Results {
			if r.Status != "ok" {
				return fmt.Errorf("event was %s: %s", r.Status, r.Reason)
			}
		}
		return nil
	})
}

// collect sends events over gRPC as a backend does.
func (c *client) collect(ctx context.Context, events ...*aftertouchv1.Event) error {
	ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+c.target.AdminKey)
	answer, err := c.events.Collect(ctx, &aftertouchv1.CollectRequest{Events: events})
	if err != nil {
		return fmt.Errorf("collecting: %w", err)
	}
	for _, r := range answer.Results {
		if r.Status != aftertouchv1.CollectResult_ok {
			return fmt.Errorf("event %s was %s: %s", r.EventId, r.Status, r.Reason)
		}
	}
	return nil
}

package docker

import (
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/docker/docker/api/types/container"
)

// The labels by which Compose marks the containers it makes.
const (
	composeProject = "com.docker.compose.project"
	composeService = "com.docker.compose.service"
)

// Selector names containers. All fields that are set must match; at least one
// must be set. Patterns know *, ? and [ranges], and * matches slashes too.
type Selector struct {
	Name    string            `yaml:"name,omitempty"`    // pattern of the container's name
	ID      string            `yaml:"id,omitempty"`      // the container's ID or the beginning of it, at least 4 digits
	Image   string            `yaml:"image,omitempty"`   // pattern of the image as it was given; without a tag any tag matches
	Label   map[string]string `yaml:"label,omitempty"`   // patterns of labels by key; all must match
	Compose string            `yaml:"compose,omitempty"` // pattern of the Compose project
	Service string            `yaml:"service,omitempty"` // pattern of the Compose service
	Network string            `yaml:"network,omitempty"` // pattern of the name of a network it is connected to
}

// Validate implements targets.Selector.
func (s *Selector) Validate() error {
	if s.Name+s.ID+s.Image+s.Compose+s.Service+s.Network == "" && len(s.Label) == 0 {
		return errors.New("a docker selector needs at least one of name, id, image, label, compose, service or network")
	}
	var errs []error
	if s.ID != "" && !isIDPrefix(s.ID) {
		errs = append(errs, fmt.Errorf("id %q is not the beginning of a container ID: write 4 to 64 hexadecimal digits", s.ID))
	}
	patterns := map[string]string{"name": s.Name, "image": s.Image, "compose": s.Compose, "service": s.Service, "network": s.Network}
	for key, value := range s.Label {
		if key == "" {
			errs = append(errs, errors.New("a label needs a key"))
		}
		patterns["label "+key] = value
	}
	for _, field := range slices.Sorted(maps.Keys(patterns)) {
		if _, err := path.Match(patterns[field], ""); err != nil {
			errs = append(errs, fmt.Errorf("%s %q is not a pattern: close its bracket or write \\[", field, patterns[field]))
		}
	}
	return errors.Join(errs...)
}

// String implements targets.Selector.
func (s *Selector) String() string {
	var words []string
	add := func(key, value string) {
		if value != "" {
			words = append(words, key+" "+value)
		}
	}
	add("name", s.Name)
	add("id", s.ID)
	add("image", s.Image)
	for _, key := range slices.Sorted(maps.Keys(s.Label)) {
		words = append(words, "label "+key+"="+s.Label[key])
	}
	add("compose", s.Compose)
	add("service", s.Service)
	add("network", s.Network)
	return strings.Join(words, ", ")
}

func (s *Selector) matches(c container.Summary) bool {
	return (s.Name == "" || slices.ContainsFunc(c.Names, func(n string) bool { return match(s.Name, strings.TrimPrefix(n, "/")) })) &&
		strings.HasPrefix(c.ID, strings.ToLower(s.ID)) &&
		(s.Image == "" || matchImage(s.Image, c)) &&
		s.matchesLabels(c.Labels) &&
		(s.Network == "" || matchNetwork(s.Network, c))
}

func (s *Selector) matchesLabels(labels map[string]string) bool {
	want := maps.Clone(s.Label)
	if want == nil {
		want = make(map[string]string)
	}
	for key, pattern := range want {
		if value, present := labels[key]; !present || !match(pattern, value) {
			return false
		}
	}
	return (s.Compose == "" || match(s.Compose, labels[composeProject])) &&
		(s.Service == "" || match(s.Service, labels[composeService]))
}

// matchImage compares with the image's name as it was given, without its tag or
// digest, and without the registry and folder that people leave out.
func matchImage(pattern string, c container.Summary) bool {
	given := strings.TrimPrefix(strings.TrimPrefix(c.Image, "docker.io/"), "library/")
	for _, image := range []string{c.Image, given, c.ImageID} {
		bare, _, _ := strings.Cut(image, "@")
		if i := strings.LastIndex(bare, ":"); i > strings.LastIndex(bare, "/") {
			bare = bare[:i]
		}
		if match(pattern, image) || image != c.ImageID && (match(pattern, bare) || image == bare && match(pattern, bare+":latest")) {
			return true
		}
	}
	return false
}

func matchNetwork(pattern string, c container.Summary) bool {
	if c.NetworkSettings == nil {
		return false
	}
	for network := range c.NetworkSettings.Networks {
		if match(pattern, network) {
			return true
		}
	}
	return false
}

// match is path.Match for names in which a slash is nothing special.
func match(pattern, s string) bool {
	ok, _ := path.Match(strings.ReplaceAll(pattern, "/", "\x00"), strings.ReplaceAll(s, "/", "\x00"))
	return ok
}

func isIDPrefix(s string) bool {
	return len(s) >= 4 && len(s) <= 64 && strings.Trim(strings.ToLower(s), "0123456789abcdef") == ""
}

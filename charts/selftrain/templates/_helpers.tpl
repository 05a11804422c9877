{{- define "selftrain.name" -}}
{{ printf "%s-controller" .Release.Name | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "selftrain.s3Name" -}}
{{ printf "%s-s3" .Release.Name | trunc 63 | trimSuffix "-" }}
{{- end }}

{{/* The labels of an object: (list . "component"). */}}
{{- define "selftrain.labels" -}}
{{ include "selftrain.selector" . }}
app.kubernetes.io/managed-by: {{ (index . 0).Release.Service }}
app.kubernetes.io/version: {{ (index . 0).Chart.AppVersion | quote }}
helm.sh/chart: {{ printf "%s-%s" (index . 0).Chart.Name (index . 0).Chart.Version }}
{{- end }}

{{- define "selftrain.selector" -}}
app.kubernetes.io/name: selftrain
app.kubernetes.io/instance: {{ (index . 0).Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end }}

{{/* Namespaces looked after, separated by commas; empty means all. */}}
{{- define "selftrain.namespaces" -}}
{{- if not .Values.clusterWide -}}{{ .Values.namespaces | default (list .Release.Namespace) | join "," }}{{- end -}}
{{- end }}

{{- define "selftrain.s3Secret" -}}
{{ .Values.s3.secretName | default (include "selftrain.s3Name" .) }}
{{- end }}

{{/* The Secret the operator reads manifests with; empty means its service account. */}}
{{- define "selftrain.storeSecret" -}}
{{- if .Values.store.secretName -}}{{ .Values.store.secretName }}
{{- else if .Values.s3.enabled -}}{{ include "selftrain.s3Secret" . }}
{{- end -}}
{{- end }}
